package eventlog

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// aSpan returns a context within a span.
func aSpan(t *testing.T, flags trace.TraceFlags) (context.Context, trace.SpanContext) {
	t.Helper()
	state, err := trace.ParseTraceState("vendor=1")
	if err != nil {
		t.Fatal(err)
	}
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: flags, TraceState: state,
	})
	return trace.ContextWithSpanContext(t.Context(), span), span
}

// TestSpanTravelsWithRecord: the span of a publish comes out with the record, if it is
// sampled, also when the record is as large as it may be.
func TestSpanTravelsWithRecord(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	sampled, span := aSpan(t, trace.FlagsSampled)
	unsampled, _ := aSpan(t, 0)
	for _, ctx := range []context.Context{sampled, unsampled, t.Context()} {
		if err := log.Publish(ctx, Outcome, make([]byte, log.MaxRecordBytes())); err != nil {
			t.Fatal(err)
		}
	}
	consumer := consume(t, log, Outcome)
	if got := next(t, consumer).Span(); !got.Equal(span.WithRemote(true)) {
		t.Errorf("span %+v, want %+v", got, span)
	}
	for range 2 {
		if got := next(t, consumer).Span(); got.IsValid() {
			t.Errorf("span %+v, want none", got)
		}
	}
}

// TestNoSpanCostsNothing: without tracing, what is done for it allocates nothing.
func TestNoSpanCostsNothing(t *testing.T) {
	log := open(t, config(t.TempDir()))
	publish(t, log, Outcome, "x")
	m := next(t, consume(t, log, Outcome))
	ctx := t.Context()
	allocations := testing.AllocsPerRun(1000, func() {
		if spanHeader(ctx) != nil || m.Span().IsValid() {
			t.Error("a span from nowhere")
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
