#!/usr/bin/env bash
# A generic gRPC client, which knows nothing of Flywheel, lists and calls the services
# through reflection.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d "${TMPDIR:-/tmp}/flywheel-client.XXXXXX")
up=
stop() {
  if [ -n "$up" ] && kill -0 "$up" 2>/dev/null; then
    kill -INT "$up"
    wait "$up" || true
  fi
  rm -rf "$dir"
}
trap stop EXIT

./bin/flywheel up --data-dir "$dir" --listen 127.0.0.1:0 --feedback-listen 127.0.0.1:0 --log-level warn >/dev/null &
up=$!
for _ in $(seq 300); do
  [ -e "$dir/addresses.json" ] && break
  kill -0 "$up" 2>/dev/null || { echo "flywheel up ended before it served" >&2; exit 1; }
  sleep 0.1
done
address() { sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" "$dir/addresses.json"; }
call() { go tool -modfile=tools/go.mod grpcurl -plaintext "$@"; }
want() { grep -q "$1" || { echo "no $1 in the answer" >&2; exit 1; }; }

call "$(address collector)" list | want flywheel.v1.CollectorService
call "$(address feedback)" list | want flywheel.v1.FeedbackService
call "$(address collector)" describe flywheel.v1.Event | want time_unix_us
call "$(address collector)" grpc.health.v1.Health/Check | want SERVING
call -d '{"group_by": ["DIMENSION_MODEL"]}' "$(address feedback)" flywheel.v1.FeedbackService/GetRates | want '{'
{ call -d '{"events": [{}]}' "$(address collector)" flywheel.v1.CollectorService/Collect 2>&1 || true; } | want 'batch_id is missing'
echo "grpcurl listed and called the services."
