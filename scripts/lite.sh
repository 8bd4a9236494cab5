#!/usr/bin/env bash
# Puts a JupyterLite with the exercises into the built site: scripts/lite.sh SITE PYTHON PYODIDE
# PYODIDE is the address or the path of Pyodide's archive, pyodide-VERSION.tar.bz2: Python and NumPy as
# WebAssembly, which the reader's browser runs.
set -euo pipefail

site=$(realpath "$1")
python=$2
pyodide=${3:-}
packages=("jupyterlite-core[contents,libarchive]==0.8.6" "jupyterlite-pyodide-kernel==0.8.6")
version=314.0.6 # of Pyodide, which these are made for

case "$pyodide" in
    *pyodide-*.tar.bz2) ;;
    *)
        echo "make lite needs Pyodide's archive: expected PYODIDE=.../pyodide-$version.tar.bz2, an address or a path" >&2
        exit 1
        ;;
esac
[ -e "$pyodide" ] && pyodide=$(realpath "$pyodide")

lite=_build/lite
rm -rf "$lite/files" "$site/lite"
mkdir -p "$lite/files" # where JupyterLite looks for notebooks
for student in exercises/*/student.ipynb; do
    cp "$student" "$lite/files/$(basename "$(dirname "$student")").ipynb"
done
[ -x "$lite/venv/bin/python" ] || "$python" -m venv "$lite/venv"
"$lite/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
"$lite/venv/bin/jupyter" lite build --lite-dir "$lite" --output-dir "$site/lite" --pyodide "$pyodide" \
    --apps lab --apps notebooks --no-sourcemaps

# Each exercise's page says that it runs here too.
for page in "$site"/exercises/*/solution.html; do
    name=$(basename "$(dirname "$page")")
    link="<a href=\"../../lite/notebooks/index.html?path=$name.ipynb\">Run it in this browser</a>, or download it: "
    sed -i "s#<a href=\"student.ipynb\" download>#$link&#" "$page"
    grep -q "lite/notebooks" "$page" || { echo "$page has no link to its student.ipynb" >&2; exit 1; }
done
