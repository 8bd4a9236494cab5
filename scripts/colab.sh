#!/usr/bin/env bash
# Makes an environment with Colab's versions, for tests/colab: scripts/colab.sh FOLDER PYTHON [TORCH]
# Without the version TORCH, PyTorch is linked from PYTHON's environment, which saves a large download.
set -euo pipefail

# pip takes the library from a repository, as in Colab.
"$(dirname "$0")/install.sh" git "the tests of Colab's notebooks" git

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
