#!/usr/bin/env bash
# Makes the virtual environment and installs the book's packages: scripts/venv.sh FOLDER [PYTHON]
set -euo pipefail

venv=$1
wanted=${2:-}

# True for an interpreter that starts and is 3.11, 3.12 or 3.13 (a version manager may put names
# on the PATH that start nothing).
suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

python=""
for candidate in ${wanted:-python3 python3.13 python3.12 python3.11}; do
    if suits "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "The book needs Python 3.11, 3.12 or 3.13; none found as ${wanted:-python3, python3.13, python3.12 or python3.11}. Name one: make book PYTHON=/path/to/python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "Python $version here cannot make virtual environments. Type: sudo apt-get install -y python$version-venv" >&2
    exit 1
fi

# Kept only if a finished installation made it, in this folder.
if [ "$(cat "$venv/.ready" 2>/dev/null)" != "$PWD" ] || ! suits "$venv/bin/python"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
echo "$PWD" >"$venv/.ready"
