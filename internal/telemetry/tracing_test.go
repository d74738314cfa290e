package telemetry_test

import (
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/yirifi/flywheel/internal/telemetry"
)

func TestTracingConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		endpoint string
		sample   float64
		want     string // part of the error; empty: none
	}{
		"plain":       {"http://127.0.0.1:4317", 1, ""},
		"TLS, none":   {"https://otel.example", 0, ""},
		"no scheme":   {"127.0.0.1:4317", 1, "a URL is needed"},
		"host only":   {"localhost:4317", 1, "a URL is needed"},
		"no host":     {"http://", 1, "a URL is needed"},
		"too much":    {"http://a:1", 1.01, "from 0 to 1"},
		"too little":  {"http://a:1", -0.1, "from 0 to 1"},
		"not a share": {"http://a:1", math.NaN(), "from 0 to 1"},
	} {
		cfg := telemetry.TracingConfig{Endpoint: test.endpoint, Sample: test.sample, Service: "test"}
		err := cfg.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		tracing, made := telemetry.NewTracing(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if (made == nil) != (err == nil) {
			t.Errorf("%s: NewTracing: %v", name, made)
		}
		if tracing == nil {
			continue
		}
		if _, span := tracing.Tracer().Start(t.Context(), "root"); span.SpanContext().IsSampled() != (test.sample == 1) {
			t.Errorf("%s: %+v", name, span.SpanContext())
		}
		if err := tracing.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
