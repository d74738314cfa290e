package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// checkTimeout bounds how long all dependencies may take to answer.
const checkTimeout = 3 * time.Second

// check is something that the process needs in order to work.
type check struct {
	name string
	ask  func(context.Context) error
}

// Needs adds a dependency: ask returns why it is not ready, or nil. It may be called
// concurrently, with a context that ends soon.
func (t *Telemetry) Needs(name string, ask func(context.Context) error) {
	t.checks = append(t.checks, check{name, ask})
}

// ask asks all dependencies at once; the errors are in their order.
func (t *Telemetry) ask(ctx context.Context) []error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	errs := make([]error, len(t.checks))
	var asking sync.WaitGroup
	for i, c := range t.checks {
		asking.Go(func() { errs[i] = c.ask(ctx) })
	}
	asking.Wait()
	return errs
}

// serveReady answers 200, or 503 when something is not ready, with a line for each
// dependency.
func (t *Telemetry) serveReady(w http.ResponseWriter, r *http.Request) {
	errs := t.ask(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, err := range errs {
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			break
		}
	}
	for i, c := range t.checks {
		state := "ready"
		if errs[i] != nil {
			state = "not ready: " + errs[i].Error()
		}
		fmt.Fprintf(w, "%s: %s\n", c.name, state)
	}
}

// readiness is the dependencies as a metric.
type readiness struct{ t *Telemetry }

func readyMetric() Metric {
	return Gauge("dependency_ready", "1 when what the process needs answers, else 0.", "dependency")
}

// Describe implements [prometheus.Collector].
func (readiness) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- readyMetric().desc }

// Collect implements [prometheus.Collector].
func (r readiness) Collect(values chan<- prometheus.Metric) {
	NewSource(func(emit Emit) {
		for i, err := range r.t.ask(context.Background()) {
			ready := 1.0
			if err != nil {
				ready = 0
			}
			emit(readyMetric(), ready, r.t.checks[i].name)
		}
	}).Collect(values)
}
