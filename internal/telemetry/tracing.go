package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// TracingConfig says where spans go and how many there are.
type TracingConfig struct {
	// Endpoint is the URL of an OTLP receiver that speaks gRPC, such as
	// http://127.0.0.1:4317, or https:// for TLS.
	Endpoint string
	// Sample is the share of traces that are kept, 0 to 1. A client that sends its own
	// trace context has decided that itself.
	Sample float64
	// Service and Version name the process in the resource of its spans.
	Service, Version string
}

// Validate returns everything that is wrong with the configuration, or nil.
func (c TracingConfig) Validate() error {
	var errs []error
	if u, err := url.Parse(c.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, fmt.Errorf("OTLP endpoint %q: a URL is needed, for example http://127.0.0.1:4317 (gRPC; https:// for TLS)", c.Endpoint))
	}
	if !(c.Sample >= 0 && c.Sample <= 1) {
		errs = append(errs, fmt.Errorf("share of traces %v: a number from 0 to 1 is needed", c.Sample))
	}
	return errors.Join(errs...)
}

// Tracing makes spans and sends them to an OTLP receiver, in the background. One that
// is away costs spans, which is logged, and nothing else.
type Tracing struct{ provider *sdktrace.TracerProvider }

// NewTracing returns tracing that sends until [Tracing.Close]. It does not wait for the
// receiver. The other settings of OpenTelemetry's environment variables hold:
// OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_SCHEDULE_DELAY and so
// on. What OpenTelemetry reports in the process is logged to log.
func NewTracing(ctx context.Context, cfg TracingConfig, log *slog.Logger) (*Tracing, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("tracing failed", slog.Any("error", err))
	}))
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(cfg.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("send spans to %s: %w", cfg.Endpoint, err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName(cfg.Service), semconv.ServiceVersion(cfg.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("describe the process for its spans: %w", err), exporter.Shutdown(ctx))
	}
	return &Tracing{provider: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.Sample))))}, nil
}

// Tracer makes spans.
func (t *Tracing) Tracer() trace.Tracer { return t.provider.Tracer("github.com/yirifi/flywheel") }

// ServerOption makes a span of each call of Flywheel's services, the child of that of
// the client if it sends one in the metadata (traceparent).
func (t *Tracing) ServerOption() grpc.ServerOption {
	return grpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider),
		otelgrpc.WithMeterProvider(noopmetric.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool { return strings.HasPrefix(info.FullMethodName, "/flywheel.") })))
}

// Close sends the spans that are left, as long as ctx allows, and ends sending.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}
