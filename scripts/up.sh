# Sourced by scripts that need a running flywheel: starts "flywheel up" on free ports
# with a data folder of its own ($data), and stops and removes it when the script ends.

work=$(mktemp -d "${TMPDIR:-/tmp}/flywheel.XXXXXX")
data=$work/data

./bin/flywheel up --data-dir "$data" --listen 127.0.0.1:0 --feedback-listen 127.0.0.1:0 --debug-listen 127.0.0.1:0 --log-level warn &
up=$!

stop_up() {
  if kill -0 "$up" 2>/dev/null; then
    kill -INT "$up"
    wait "$up" || true
  fi
  rm -rf "$work"
}
trap stop_up EXIT

for _ in $(seq 300); do
  [ -e "$data/addresses.json" ] && break
  kill -0 "$up" 2>/dev/null || { echo "flywheel up ended before it served" >&2; exit 1; }
  sleep 0.1
done
[ -e "$data/addresses.json" ] || { echo "flywheel up did not serve within 30 s" >&2; exit 1; }
