#!/usr/bin/env bash
# Makes an environment with Colab's versions, for tests/colab: scripts/colab.sh FOLDER PYTHON [TORCH]
# Without the version TORCH, PyTorch is linked from PYTHON's environment, which saves a large download.
set -euo pipefail

# pip takes the library from a repository, as in Colab.
if ! command -v git >/dev/null; then
    sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
        echo "The tests of Colab's notebooks need git. Type: sudo apt-get install -y git" >&2
        exit 1
    fi
    echo "Installing git for the tests of Colab's notebooks"
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git >/dev/null
fi

folder=$1
python=$2
torch=${3:-}
wanted="$PWD $("$python" -c 'import sys, torch; print(sys.version, torch.__version__)') $torch $(cat tests/colab/requirements.txt)"

[ "$(cat "$folder/.ready" 2>/dev/null)" = "$wanted" ] && exit 0
echo "Making an environment with Colab's versions"
rm -rf "$folder"
"$python" -m venv "$folder"
packages() { "$1" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
to=$(packages "$folder/bin/python")
if [ -z "$torch" ]; then
    from=$(packages "$python")
    ln -s "$from"/torch "$from"/torchgen "$from"/functorch "$from"/torch-*.dist-info "$to"
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "torch${torch:+==$torch}" -r tests/colab/requirements.txt

# Colab imports its own module before the first cell; anywidget asks it for a widget manager.
mkdir -p "$to/google/colab"
echo "from google.colab import output" >"$to/google/colab/__init__.py"
cat >"$to/google/colab/output.py" <<'STUB'
managers = []


def enable_custom_widget_manager():
    managers.append("enabled")
STUB
echo "import google.colab" >"$to/colab.pth"
echo "$wanted" >"$folder/.ready"
