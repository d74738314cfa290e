package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Metric describes a number that is read when somebody asks for it.
type Metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// Counter describes a number that only grows while the process runs. Names have their
// unit, without the namespace.
func Counter(name, help string, labels ...string) Metric {
	return metric(prometheus.CounterValue, name, help, labels)
}

// Gauge describes a number that goes up and down.
func Gauge(name, help string, labels ...string) Metric {
	return metric(prometheus.GaugeValue, name, help, labels)
}

func metric(kind prometheus.ValueType, name, help string, labels []string) Metric {
	return Metric{desc: prometheus.NewDesc(Namespace+"_"+name, help, labels, nil), kind: kind}
}

// Emit gives the value of a metric, and of its labels in the order of its description.
type Emit func(m Metric, value float64, labels ...string)

// Source is metrics that are read together.
type Source struct {
	metrics []Metric
	read    func(Emit)
}

// NewSource returns a source that calls read, which may be called concurrently, each
// time somebody asks. It emits each of the metrics, and no others, once for each
// combination of labels; what it leaves out has no value at that time.
func NewSource(read func(Emit), metrics ...Metric) Source {
	return Source{metrics: metrics, read: read}
}

// Describe implements [prometheus.Collector].
func (s Source) Describe(descriptions chan<- *prometheus.Desc) {
	for _, m := range s.metrics {
		descriptions <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (s Source) Collect(values chan<- prometheus.Metric) {
	s.read(func(m Metric, value float64, labels ...string) {
		values <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
	})
}
