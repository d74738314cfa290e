package main

import (
	"context"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/yirifi/flywheel/collector"
	"github.com/yirifi/flywheel/feedback"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/telemetry"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
)

// lastSpansTimeout bounds how long the spans that are left may take to be sent.
const lastSpansTimeout = 3 * time.Second

// debugSettings say where a role that runs alone can be watched.
type debugSettings struct {
	DebugListen string `placeholder:"ADDRESS" help:"Address for /metrics, /healthz, /readyz and /debug/pprof (HTTP, nothing secret but nothing public either). Unset: off."`
}

// traceSettings say where the spans of a process go.
type traceSettings struct {
	OTLPEndpoint string  `name:"otlp-endpoint" env:"FLYWHEEL_OTLP_ENDPOINT,OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"OpenTelemetry receiver (OTLP over gRPC) to send traces to, for example http://127.0.0.1:4317. Unset: no traces."`
	TraceSample  float64 `default:"1" help:"Share of traces to keep, 0 to 1."`
}

// start starts the tracing of a role; nil when it is off.
func (s traceSettings) start(ctx context.Context, role string, log *slog.Logger) (*telemetry.Tracing, error) {
	if s.OTLPEndpoint == "" {
		return nil, nil
	}
	cfg := telemetry.TracingConfig{Endpoint: s.OTLPEndpoint, Sample: s.TraceSample, Service: role, Version: version()}
	if err := cfg.Validate(); err != nil {
		return nil, usageError{err}
	}
	return telemetry.NewTracing(ctx, cfg, log)
}

// watch is the telemetry of a process and the address at which it is served.
type watch struct {
	*telemetry.Telemetry

	env environment
	lis net.Listener // nil: off
	// tracing is nil when it is off; tracer then too.
	tracing *telemetry.Tracing
	tracer  trace.Tracer
	// calls are the options of every gRPC server of the process.
	calls []grpc.ServerOption
}

// newWatch listens on the debug address, unless it is empty, and starts the tracing of a
// role. The caller calls close, or serve.
func newWatch(ctx context.Context, role, address string, spans traceSettings, env environment) (*watch, error) {
	w := &watch{Telemetry: telemetry.New(version()), env: env}
	w.calls = w.WatchCalls()
	var err error
	if w.tracing, err = spans.start(ctx, role, env.log); err != nil {
		return nil, err
	}
	if w.tracing != nil {
		w.tracer = w.tracing.Tracer()
		w.calls = append(w.calls, w.tracing.ServerOption())
	}
	if address == "" {
		return w, nil
	}
	if w.lis, err = listen(ctx, "debug-listen", address); err != nil {
		w.endTracing(ctx)
		return nil, err
	}
	return w, nil
}

// address is where the telemetry is served; empty when it is off.
func (w *watch) address() string {
	if w.lis == nil {
		return ""
	}
	return w.lis.Addr().String()
}

// endTracing sends the spans that are left. A receiver that is away is no failure of the
// role, and must not keep it from ending.
func (w *watch) endTracing(ctx context.Context) {
	if w.tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpansTimeout)
	defer cancel()
	if err := w.tracing.Close(ctx); err != nil {
		w.env.log.WarnContext(ctx, "lost spans", slog.Any("error", err))
	}
}

// close gives up telemetry that is not served.
func (w *watch) close(ctx context.Context) error {
	w.endTracing(ctx)
	if w.lis == nil {
		return nil
	}
	return w.lis.Close()
}

// serve runs a role, and serves the telemetry until the role has ended.
func (w *watch) serve(ctx context.Context, role func(context.Context) error) error {
	defer w.endTracing(ctx)
	if w.lis == nil {
		return role(ctx)
	}
	w.env.log.Info("debug server listens", "address", w.address())
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group errgroup.Group
	group.Go(func() error {
		defer stop()
		return role(ctx)
	})
	group.Go(func() error { return w.Serve(serving, w.lis, w.env.log) })
	return group.Wait()
}

// store makes ClickHouse a dependency.
func (w *watch) store(db *warehouse.DB) { w.Needs("clickhouse", db.Conn().Ping) }

// log makes the log a dependency and registers its metrics.
func (w *watch) log(log *eventlog.Log) { w.WatchLog(log, w.env.log) }

// collector makes a collector that is watched.
func (w *watch) collector(s collectorSettings, log *eventlog.Log) (*collector.Collector, error) {
	took := w.NewHistogram("collector_publish_duration_seconds", "How long the log took to confirm a group of batches.", "lane")
	cfg := s.config()
	cfg.ServerOptions, cfg.Tracer = w.calls, w.tracer
	cfg.Published = func(lane eventlog.Lane, d time.Duration) { took.WithLabelValues(lane.String()).Observe(d.Seconds()) }
	col, err := collector.New(cfg, log, w.env.log.With("role", "collector"))
	if err != nil {
		return nil, usageError{err}
	}
	w.Register(collectorMetrics(col))
	return col, nil
}

// processor makes a processor that is watched.
func (w *watch) processor(s processorSettings, log *eventlog.Log, db *warehouse.DB) (*processor.Processor, error) {
	took := w.NewHistogram("processor_insert_duration_seconds", "How long ClickHouse took to confirm an insert.", "table")
	cfg := s.config()
	cfg.Tracer = w.tracer
	cfg.Inserted = func(table string, d time.Duration) { took.WithLabelValues(table).Observe(d.Seconds()) }
	proc, err := processor.New(cfg, log, db, w.env.log.With("role", "processor"))
	if err != nil {
		return nil, usageError{err}
	}
	w.Register(processorMetrics(proc))
	return proc, nil
}

// settler makes a settler that is watched.
func (w *watch) settler(s processorSettings, db *warehouse.DB) (*processor.Settler, error) {
	took := w.NewHistogram("settler_settle_duration_seconds", "How long looking for touched buckets and recounting them took, when there were any.", "table")
	cfg := s.settler()
	cfg.Settled = func(table string, d time.Duration) { took.WithLabelValues(table).Observe(d.Seconds()) }
	settler, err := processor.NewSettler(cfg, db, w.env.log.With("role", "settler"))
	if err != nil {
		return nil, usageError{err}
	}
	w.Register(settlerMetrics(settler))
	return settler, nil
}

// feedback makes a feedback service that is watched.
func (w *watch) feedback(db *warehouse.DB) (*feedback.Feedback, error) {
	cfg := feedback.DefaultConfig()
	cfg.ServerOptions = w.calls
	fb, err := feedback.New(cfg, db, w.env.log.With("role", "feedback"))
	if err != nil {
		return nil, usageError{err}
	}
	return fb, nil
}
