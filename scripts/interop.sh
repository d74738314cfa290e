#!/usr/bin/env bash
# Writes a training set of every format in every encoding, and some that the service
# made, and loads each with the libraries that trainers use. Folders of other exports can
# be given too.
set -euo pipefail
folders=()
for folder in "$@"; do folders+=("$(realpath "$folder")"); done
cd "$(dirname "$0")/.."

here=trainset/testdata/interop
environment=.cache/interop
# A new environment whenever what it has to hold changes.
if ! cmp -s "$here/requirements.txt" "$environment/requirements.txt"; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$environment/"
fi

sets=$(mktemp -d)
trap 'rm -rf "$sets"' EXIT
FLYWHEEL_INTEROP_DIR=$sets go test -count=1 -run '^TestInterop$' ./trainset ./trainset/formats > /dev/null
TRANSFORMERS_VERBOSITY=error HF_HOME=$sets/cache "$environment/bin/python" "$here/check.py" "$sets" ${folders[@]+"${folders[@]}"}
