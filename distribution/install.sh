#!/usr/bin/env bash
# Install Tidemark out of this folder into a virtual environment; no network is asked.
#
#   ./install.sh [FOLDER]      FOLDER is made; without it, .venv here
#
#   PYTHON=/its/path           a Python of the version that the wheels are for
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-$here/.venv}
version=$(cat "$here/python-version")
python=${PYTHON:-$(command -v "python$version" || command -v python3 || true)}

refuse() {
  echo "error: $*" >&2
  exit 2
}

[[ $# -le 1 && $folder != -* ]] || refuse "say at most one folder: ./install.sh [FOLDER]"
[[ -n $python ]] || refuse "no Python $version on PATH: install it, or say PYTHON=/its/path"
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || refuse "$python does not run"
[[ $found == "$version" ]] || refuse "$python is Python $found; these wheels are for $version: say PYTHON=/its/path"
[[ ! -e $folder ]] || refuse "$folder is there already: name another folder, or remove it"
(cd "$here" && sha256sum --quiet --check SHA256SUMS) || refuse "a file is not as it was packed: unpack the archive once more"

"$python" -m venv "$folder" || refuse "no virtual environment: on Debian, install python$version-venv"
# What a machine's pip is told of indexes and caches counts for nothing here.
for name in $(compgen -e | grep '^PIP_' || true); do unset "$name"; done
PIP_CONFIG_FILE=/dev/null "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
  --no-index -f "$here/wheels" --require-hashes -r "$here/requirements.lock"
"$folder/bin/python" -m pip check --quiet --disable-pip-version-check
"$folder/bin/tidemark" --version
echo "installed: $folder/bin/tidemark"
