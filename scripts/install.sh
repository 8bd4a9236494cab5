#!/usr/bin/env bash
# Installs a program of Debian's where that is allowed, and else says what to type:
# scripts/install.sh PACKAGE WHO-NEEDS-IT [PROGRAM...]   It is there if one of the programs is.
set -euo pipefail

package=$1
who=$2
for program in "${@:3}"; do
    command -v "$program" >/dev/null && exit 0
done
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
    echo "$who: $package is missing. On Debian and Ubuntu, on Windows in WSL, type: sudo apt-get install -y $package; elsewhere install it as your system does" >&2
    exit 1
fi
echo "Installing $package: $who"
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
