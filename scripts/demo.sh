#!/usr/bin/env bash
# The main job from end to end in a folder of its own: everything up on free ports,
# real source code retyped by suggesting agents, rates by model, and a comparison of
# every count with what the agents themselves tallied, and with a recount of the raw
# rows.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/up.sh

./bin/flywheel replay --data-dir "$data" --interactions "${INTERACTIONS:-20000}" --tally "$work/tally.json" --check
./bin/flywheel verify --data-dir "$data"
echo
./bin/flywheel rates --data-dir "$data" --group-by model
