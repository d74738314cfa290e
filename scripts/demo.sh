#!/usr/bin/env bash
# The main job from end to end in a folder of its own: everything up on free
# ports, real source code retyped by suggesting agents, rates by model, and a
# comparison of every count with what the agents themselves tallied.
set -euo pipefail
cd "$(dirname "$0")/.."

interactions=${INTERACTIONS:-20000}
dir=$(mktemp -d "${TMPDIR:-/tmp}/flywheel-demo.XXXXXX")
up=

stop() {
  if [ -n "$up" ] && kill -0 "$up" 2>/dev/null; then
    kill -INT "$up"
    wait "$up" || true
  fi
  rm -rf "$dir"
}
trap stop EXIT

./bin/flywheel up --data-dir "$dir/data" --listen 127.0.0.1:0 --feedback-listen 127.0.0.1:0 --log-level warn &
up=$!
for _ in $(seq 300); do
  [ -e "$dir/data/addresses.json" ] && break
  kill -0 "$up" 2>/dev/null || { echo "demo: flywheel up ended before it served" >&2; exit 1; }
  sleep 0.1
done
[ -e "$dir/data/addresses.json" ] || { echo "demo: flywheel up did not serve within 30 s" >&2; exit 1; }

./bin/flywheel replay --data-dir "$dir/data" --interactions "$interactions" --tally "$dir/tally.json" --check
echo
./bin/flywheel rates --data-dir "$dir/data" --group-by model
