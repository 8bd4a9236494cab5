#!/usr/bin/env bash
# Makes sure that bubblewrap is there and works: submissions are graded inside it.
set -euo pipefail

works() { bwrap --ro-bind / / --unshare-all true 2>/dev/null; }

"$(dirname "$0")/install.sh" bubblewrap "the grader" bwrap
works && exit 0

# Ubuntu 24.04 lets only programs with a profile make namespaces. The profile is written on a
# machine of continuous integration; on anybody else's it is theirs to decide.
profile='abi <abi/4.0>,
include <tunables/global>
profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
}'
if [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ]; then
    if [ -n "${CI:-}" ]; then
        sudo=()
        [ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
        echo "$profile" | "${sudo[@]}" tee /etc/apparmor.d/bwrap >/dev/null
        "${sudo[@]}" apparmor_parser -r /etc/apparmor.d/bwrap
        works && exit 0
    else
        echo "AppArmor keeps bubblewrap from working. Write this to /etc/apparmor.d/bwrap, then type sudo apparmor_parser -r /etc/apparmor.d/bwrap:" >&2
        echo "$profile" >&2
        exit 1
    fi
fi
echo "bubblewrap does not work here: $(bwrap --ro-bind / / --unshare-all true 2>&1)" >&2
exit 1
