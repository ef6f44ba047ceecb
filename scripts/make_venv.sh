#!/usr/bin/env bash
# Makes .venv/ with the first Python 3.11-3.13 found and installs the given lock file and the project.
set -euo pipefail
lock=$1

works() { command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if [ ! -x .venv/bin/python ] || ! works .venv/bin/python; then
  python="" without_venv=""
  for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    works "$candidate" || continue
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$candidate; break; fi
    without_venv=${without_venv:-$candidate}
  done
  if [ -z "$python" ] && [ -n "$without_venv" ]; then
    echo "$("$without_venv" --version) comes without venv. On Debian: apt install python3-venv, then run this again." >&2
    exit 1
  fi
  if [ -z "$python" ]; then
    echo "Stockwright needs Python 3.11, 3.12 or 3.13 and found none. Install one, or name it: make venv PYTHON=/path/to/python3" >&2
    exit 1
  fi
  echo "Making .venv with $("$python" --version) ..."
  rm -rf .venv
  "$python" -m venv .venv
fi

echo "Installing $lock ..."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
log=$(mktemp); trap 'rm -f "$log"' EXIT
if ! { .venv/bin/pip install --quiet --require-hashes -r "$lock" \
    && .venv/bin/pip install --quiet --no-deps --no-build-isolation --editable . ; } 2>"$log"; then
  cat "$log" >&2
  echo "The packages could not be installed; the lines above say why. 'make clean' starts over." >&2
  exit 1
fi
