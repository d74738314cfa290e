package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Namespace is what the names of Flywheel's metrics begin with.
const Namespace = "flywheel"

// Telemetry is the metrics and the checks of one process. Register everything before
// [Telemetry.Serve].
type Telemetry struct {
	registry *prometheus.Registry
	checks   []check
}

// New returns the telemetry of a process of that version, with the metrics of the Go
// runtime and of the operating system's process.
func New(version string) *Telemetry {
	t := &Telemetry{registry: prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: Namespace, Name: "build_info", Help: "Always 1; the label is the version that runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	t.Register(build, readiness{t}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return t
}

// Register adds metrics. It panics when two have one name, which is a defect.
func (t *Telemetry) Register(metrics ...prometheus.Collector) { t.registry.MustRegister(metrics...) }

// Gatherer is what reads the metrics.
func (t *Telemetry) Gatherer() prometheus.Gatherer { return t.registry }

// NewHistogram registers a histogram of durations in seconds, from 1 ms to about 30 s,
// by labels. The name has the unit.
func (t *Telemetry) NewHistogram(name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: Namespace, Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
	}, labels)
	t.Register(h)
	return h
}
