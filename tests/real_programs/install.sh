#!/usr/bin/env bash
# Installs what the real programs' tests run, each into an environment of its own under a folder (not the project's .venv):
#   install.sh FOLDER
# cryoCARE needs a Python 3.8 (PYTHON38=...; else python3.8 on PATH, or pyenv's); without one its tests are skipped.
set -euo pipefail
folder=$1
python=${PYTHON:-python3}
mkdir -p "$folder"
say() { echo "real programs: $*" >&2; }

environment() {  # environment NAME PYTHON: made afresh unless it was finished before
    [ -e "$folder/$1/finished" ] && return 1
    say "installing $1 into $folder/$1"
    rm -rf "${folder:?}/$1"
    "$2" -m venv "$folder/$1"
}

# Topaz wants torchvision for three turns and flips in training, and a torchvision that does not fit the torch beside it
# stops every command. So it is installed without, and gets a stand-in of those three.
if environment topaz "$python"; then
    "$folder/topaz/bin/pip" install -q torch numpy pandas scikit-learn scipy pillow future h5py tqdm psutil "setuptools<81"
    "$folder/topaz/bin/pip" install -q --no-deps topaz-em
    site=$("$folder/topaz/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    mkdir -p "$site/torchvision/transforms"
    touch "$site/torchvision/__init__.py" "$site/torchvision/transforms/__init__.py"
    cp "$(dirname "$0")/torchvision_functional.py" "$site/torchvision/transforms/functional.py"
    touch "$folder/topaz/finished"
fi

# MemBrain-seg imports click without saying so.
if environment membrain "$python"; then
    "$folder/membrain/bin/pip" install -q torch click membrain-seg
    touch "$folder/membrain/finished"
fi

python38=
for candidate in ${PYTHON38:-} python3.8 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.8.*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 8))' 2>/dev/null; then
        python38=$candidate
        break
    fi
done
if [ -z "$python38" ]; then
    say "no Python 3.8: cryoCARE is not installed, and its tests are skipped"
elif environment cryocare "$python38"; then
    "$folder/cryocare/bin/pip" install -q "tensorflow==2.6.*" "keras==2.6.*" "protobuf<3.21" "tifffile==2019.7.26" \
        "cryoCARE==0.3.0"
    touch "$folder/cryocare/finished"
fi
