package collector

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/mem"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// TestGroupNamesItsBatches: the span of a group is a child of its first sampled batch
// and names all of them, as far as there is room, and none that is not sampled.
func TestGroupNamesItsBatches(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	sampled := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	ignored := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("test")
	log := newGate(openLog(t, nil))
	c := idle(t, log, func(cfg *Config) { cfg.Tracer = sampled })
	begin := func(tracer trace.Tracer) (*batch, trace.SpanContext) {
		_, span := tracer.Start(t.Context(), "batch")
		return c.begin(rpc.DefaultTenant, span, mem.SliceBuffer(encode(t, request(many(1, shown)...)))), span.SpanContext()
	}
	alone, _ := begin(ignored)
	<-log.entered
	batches := []*batch{alone}
	var spans []trace.SpanContext
	for i := range maxSpanLinks + 20 {
		unsampled, _ := begin(ignored)
		b, span := begin(sampled)
		batches = append(batches, unsampled, b)
		if i < maxSpanLinks {
			spans = append(spans, span)
		}
	}
	log.open()
	for _, b := range batches {
		if _, refused := c.wait(b); refused != nil {
			t.Fatalf("refused: %+v", refused)
		}
	}
	var published []sdktrace.ReadOnlySpan
	for _, span := range recorder.Ended() {
		if span.Name() == "publish outcome" {
			published = append(published, span)
		}
	}
	if len(published) != 1 || published[0].Parent().SpanID() != spans[0].SpanID() || len(published[0].Links()) != len(spans) {
		t.Fatalf("%d spans of groups: %+v", len(published), published)
	}
	for i, link := range published[0].Links() {
		if !link.SpanContext.Equal(spans[i]) {
			t.Errorf("link %d names %v, want %v", i, link.SpanContext, spans[i])
		}
	}
}

// TestNoSpansCostNothing: without tracing, what is done for it allocates nothing.
func TestNoSpansCostNothing(t *testing.T) {
	c := idle(t, nullLog{}, nil)
	g := &group{}
	answer := &flywheelv1.CollectResponse{}
	ctx := context.Background()
	allocations := testing.AllocsPerRun(1000, func() {
		span := c.beginSpan(ctx)
		g.addSpan(span.SpanContext())
		g.addSpan(trace.SpanFromContext(ctx).SpanContext())
		_, publishing := c.lanes[0].beginSpan(ctx, g)
		endSpan(publishing, nil)
		noteAnswer(span, answer, nil)
		span.End()
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
