#!/usr/bin/env bash
# A generic gRPC client, which knows nothing of Flywheel, lists and calls the services
# through reflection.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/up.sh

address() { sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" "$data/addresses.json"; }
call() { go tool -modfile=tools/go.mod grpcurl -plaintext "$@"; }
want() { grep -q "$1" || { echo "no $1 in the answer" >&2; exit 1; }; }

call "$(address collector)" list | want flywheel.v1.CollectorService
call "$(address feedback)" list | want flywheel.v1.FeedbackService
call "$(address feedback)" list | want flywheel.v1.ModelService
call "$(address feedback)" list | want flywheel.v1.DefinitionService
call "$(address collector)" describe flywheel.v1.Event | want time_unix_us
call "$(address collector)" grpc.health.v1.Health/Check | want SERVING
call -d '{"group_by": ["DIMENSION_MODEL"]}' "$(address feedback)" flywheel.v1.FeedbackService/GetRates | want '{'
call -d '{"model": "tab-7b", "notes": "by hand"}' "$(address feedback)" flywheel.v1.ModelService/CreateModel | want MODEL_STAGE_OFFLINE
call "$(address feedback)" flywheel.v1.ModelService/ListModels | want 'by hand'
{ call -d '{"model": "tab-8b", "parent": "tab-7a"}' "$(address feedback)" flywheel.v1.ModelService/CreateModel 2>&1 || true; } | want 'register it first'
call "$(address feedback)" flywheel.v1.DefinitionService/ListDefinitions | want '"window": "3600s"'
{ call -d '{"events": [{}]}' "$(address collector)" flywheel.v1.CollectorService/Collect 2>&1 || true; } | want 'batch_id is missing'
echo "grpcurl listed and called the services."
