# Everything a developer or a user of a checkout needs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BUF      := go tool -modfile=tools/go.mod buf
LINT     := go tool -modfile=tools/lint/go.mod golangci-lint
PROMTOOL := go tool -modfile=tools/promtool/go.mod promtool
# What the contract must stay compatible with.
AGAINST ?= HEAD~1

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: build
build: ## Build bin/flywheel
	go build -o bin/flywheel ./cmd/flywheel

.PHONY: engine
engine: ## Fetch the embedded ClickHouse engine (once per machine, from the npm registry)
	./scripts/fetch-engine.sh

.PHONY: demo
demo: build engine ## Run everything, retype real code, show the rates and prove the counts
	./scripts/demo.sh

.PHONY: flywheel
flywheel: build engine ## Make one turn: collect, export, train a candidate, compare it with its parent
	./scripts/flywheel.sh

.PHONY: up
up: build engine ## Run everything until Ctrl-C, with its data in ./flywheel-data
	./bin/flywheel up

.PHONY: test
test: engine ## Run all tests
	go test ./...
	cd bench && go test ./...

.PHONY: test-race
test-race: engine ## Run all tests under the race detector
	go test -race ./...

.PHONY: test-interop
test-interop: ## Load training sets with the trainers' own libraries (sets up a Python environment)
	./scripts/interop.sh

.PHONY: check-client
check-client: build engine ## Call the services with a generic gRPC client
	./scripts/generic-client.sh

.PHONY: lint
lint: ## Check the code and the contract
	$(LINT) run ./...
	cd bench && go tool -modfile=../tools/lint/go.mod golangci-lint run ./...
	cd bench/otelcol && go tool -modfile=../../tools/lint/go.mod golangci-lint run ./...
	$(BUF) lint
	$(BUF) format --diff --exit-code
	go fix -diff ./...
	cd bench && go fix -diff ./...
	cd bench/otelcol && go fix -diff ./...
	if git rev-parse --quiet --verify $(AGAINST):proto >/dev/null; then $(BUF) breaking --against '.git#ref=$(AGAINST)'; fi

.PHONY: check-alerts
check-alerts: ## Check the alerts for Prometheus, and what makes them fire
	$(PROMTOOL) check rules deploy/prometheus/alerts.yml
	$(PROMTOOL) test rules deploy/prometheus/alerts_test.yml

.PHONY: generate
generate: ## Generate the Go code of the contract
	$(BUF) generate

.PHONY: bin/bench
bin/bench:
	cd bench && go build -o ../bin/bench .

.PHONY: bin/otelcol
bin/otelcol:
	cd bench/otelcol && go build -o ../../bin/otelcol .

.PHONY: bench
bench: build bin/bench bin/otelcol engine ## Measure Flywheel, the OpenTelemetry Collector and the floors in turns (15 minutes)
	bin/bench -json bench.json

.PHONY: bench-history
bench-history: build bin/bench engine ## Measure a query of 90 days, and an export of signals
	bin/bench -layout history,export

.PHONY: bench-growth
bench-growth: build bin/bench engine ## Measure loads of any size, idle streams, a day of a million sessions, queries beside a load
	bin/bench -layout growth
	bin/bench -layout idle
	bin/bench -layout sessions
	bin/bench -layout query

.PHONY: bench-guard
bench-guard: build bin/bench engine ## Fail if ratios of rates, CPU, latency or allocations got worse than bench/baseline.json (UPDATE=1 writes it)
	bin/bench -layout guard $(if $(UPDATE),-update)

.PHONY: soak
soak: build bin/bench engine ## Keep half of the bench's load up for an hour; watch the memory of every role and the lag
	bin/bench -layout soak

# Where `make faults` keeps what it has done.
FAULT_RESULTS ?= faults.jsonl

.PHONY: bin/faults
bin/faults:
	go build -o bin/faults ./test/faults

.PHONY: faults
faults: bin/faults engine ## Try to lose or double an event: 200 runs with faults (about 40 minutes; goes on where it was)
	bin/faults -runs 200 -jobs 2 -results $(FAULT_RESULTS)

.PHONY: faults-short
faults-short: bin/faults engine ## A few such runs with every kind of fault, and deliberate bugs that must be caught (4 minutes)
	bin/faults -cover -selftest -jobs 2

.PHONY: faults-table
faults-table: bin/faults ## Print the table of faults from the results
	@bin/faults -table -results $(FAULT_RESULTS)

.PHONY: clean
clean: ## Remove what was built (not the data, not the engine)
	rm -rf bin
