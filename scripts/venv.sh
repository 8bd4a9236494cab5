#!/usr/bin/env bash
# Makes the virtual environment, and installs what is asked for: scripts/venv.sh book|all FOLDER [PYTHON]
#   book  what builds the site from the notebooks as they are stored (requirements-book.txt)
#   all   what runs and tests them, too (requirements.txt)
set -euo pipefail

layer=$1
venv=$2
wanted=${3:-} offline="What pip could not load is missing: is there a network? Type the same again when there is."
stop() {
    echo "$1" >&2
    exit 1
}

# True for an interpreter that starts and is 3.11 to 3.14 (a version manager may put names on the
# PATH that start nothing).
suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }
made_here() { [ "$(cat "$venv/.$1" 2>/dev/null)" = "$PWD" ] && suits "$venv/bin/python"; }
fresh() { made_here "$1" && [ ! "$2" -nt "$venv/.$1" ] && [ ! pyproject.toml -nt "$venv/.$1" ]; }

# pip says what it is doing, package by package: of that, a line that counts.
counted() {
    local count=0 package
    while read -r word package _; do
        [ "$word" = Collecting ] || continue
        count=$((count + 1))
        if [ -t 1 ]; then printf '\r\033[K  %d: %s' "$count" "$package"; elif ((count % 25 == 0)); then echo "  $count packages"; fi
    done
    [ ! -t 1 ] || printf '\r\033[K'
}
# Compiling waits until a module is imported: most never are.
pip() { "$venv/bin/python" -m pip install --disable-pip-version-check --no-compile --progress-bar off "$@" | counted; }

[ -w . ] || stop "$PWD cannot be written to, and the book is built in it: copy it to a folder of your own, and type make there."

if ! made_here book; then
    python=""
    for candidate in ${wanted:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if suits "$candidate"; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] ||
        stop "The book needs Python 3.11, 3.12, 3.13 or 3.14; none found as ${wanted:-python3 or one of these}. Name one: make book PYTHON=/path/to/python3.12"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        stop "Python $version here cannot make virtual environments. On Debian and Ubuntu, type: sudo apt-get install -y python$version-venv"
    fi
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

if ! fresh book requirements-book.txt; then
    echo "Installing what the site is built with: Jupyter Book, NumPy and Node, some 115 packages, 142 MB to load, 570 MB on disk"
    pip -r requirements-book.txt || stop "$offline"
    # nbformat's checks would compile grammars of addresses for three seconds in each process, and nothing here has an address to check.
    echo 'import sys; sys.modules.setdefault("rfc3987_syntax", None)' >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/no_grammars.pth"
    # The library as it lies here; what builds it is installed, so that nothing is asked of the network.
    pip --no-deps --no-build-isolation -e .
    echo "$PWD" >"$venv/.book"
fi
[ "$layer" = all ] && ! fresh all requirements.txt || exit 0

echo "Installing what the notebooks run and are tested with: PyTorch, JupyterLab and others, about 100 packages, 2 GB more on disk without a GPU"
# Where Linux has no GPU, PyTorch's usual build would bring CUDA, 5 GB: uv knows where the one without it is.
torch=$(grep '^torch==' requirements.txt)
if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
    if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --dry-run --no-deps --report - "$torch" | grep -qE '"(nvidia|cuda)-'; then
        pip uv
        "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --torch-backend cpu "$torch" ||
            echo "PyTorch without CUDA could not be loaded: the usual build is, with CUDA"
    fi
fi
pip -r requirements.txt || stop "$offline"
echo "$PWD" >"$venv/.all"
