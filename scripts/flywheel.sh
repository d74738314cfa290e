#!/usr/bin/env bash
# One turn of the flywheel in a folder of its own: people use the models that there are,
# what they did becomes a training set, a candidate learns it, and then other people are
# dealt to the candidate and to what it was made from, on files that neither has seen.
# Ends with both side by side. Nothing says beforehand that the candidate is better.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/up.sh

baseline=ngram-6@1 candidate=ngram-6@2
set=$work/training-set
step() { printf '\n== %s\n' "$*"; }

step "1. Half of the files are retyped with the models that there are"
# Two days ago, so that no virtual time is shared with step 6.
begin=$(date -u -d '2 days ago' +%FT%TZ 2>/dev/null || date -u -v-2d +%FT%TZ)
./bin/flywheel replay --data-dir "$data" --part 1/2 --interactions "${INTERACTIONS:-200000}" --users 1000 \
  --base-time "$begin" --workers 2 --tally "$work/first.json" --check

step "2. What people accepted, corrected or wrote instead becomes a training set"
# By repository: files of one repository are retyped by several people.
./bin/flywheel export --data-dir "$data" --format supervised --include-unsettled \
  --label accepted,accepted_modified,partially_accepted,rejected,ignored \
  --split-by repository --validation 0.1 --test 0.1 --encoding jsonl-zstd --out "$set" --output json > "$work/export.json"
id=$(sed -n 's/^ *"training_set_id": *"\([^"]*\)".*/\1/p' "$work/export.json")
echo "training set $id"

step "3. The models and where they come from"
./bin/flywheel model create --data-dir "$data" "$baseline" --stage released > /dev/null
./bin/flywheel model create --data-dir "$data" "$candidate" --parent "$baseline" --training-set "$id" --stage experiment > /dev/null
./bin/flywheel model lineage --data-dir "$data" "$candidate"

step "4. Both predict the split test, which the candidate has not learnt"
for model in "$baseline" "$candidate"; do
  ./bin/flywheel predict --training-set "$set" --model "$model" --split test --out "$work/$model.jsonl"
done

step "5. How right they were"
for model in "$baseline" "$candidate"; do
  ./bin/flywheel eval --data-dir "$data" --training-set "$set" --predictions "$work/$model.jsonl" --model "$model"
done

step "6. The other half of the files is retyped: users are dealt to baseline and candidate"
./bin/flywheel replay --data-dir "$data" --part 2/2 --interactions "${INTERACTIONS_COMPARED:-100000}" --users 1600 \
  --baseline "$baseline" --candidate "$candidate" --candidate-data "$set" --workers 2 --tally "$work/second.json" --check

step "7. Baseline against candidate"
# Users' rates are settled later than rates: verify waits until both equal a recount.
./bin/flywheel verify --data-dir "$data"
./bin/flywheel rates --data-dir "$data" --group-by model --filter experiment=replay-candidate
echo
./bin/flywheel compare --data-dir "$data" --experiment replay-candidate --baseline "$baseline" --candidate "$candidate"
