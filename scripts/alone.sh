#!/usr/bin/env bash
# Runs a command while nobody else runs one in this folder: scripts/alone.sh COMMAND...
# Two that install, or build, in one folder at once would destroy each other's work.
set -euo pipefail

# Where there is no flock, as on macOS, or the folder cannot be written to, the command runs as it is.
if command -v flock >/dev/null && [ -w . ]; then
    mkdir -p _build
    exec 9>_build/.alone
    if ! flock --nonblock 9; then
        echo "Another make is at work in $PWD: waiting until it is done"
        flock 9
    fi
fi
# Without the lock, so that nothing that stays behind in the background holds it.
"$@" 9>&-
