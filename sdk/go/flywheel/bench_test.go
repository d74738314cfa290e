package flywheel_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// benchClient is a client of a fake that takes everything and keeps nothing. It waits
// for room, so that what is measured has been sent too.
func benchClient(b *testing.B, opts ...flywheel.Option) *flywheel.Client {
	f := &sink{}
	f.serve(b)
	client, err := flywheel.Dial("passthrough:///sink", append([]flywheel.Option{
		flywheel.WithInsecure(), flywheel.WithDialOptions(grpc.WithContextDialer(f.dial)),
		flywheel.WithLogger(slog.New(slog.DiscardHandler)), flywheel.WithBlockWhenFull(),
	}, opts...)...)
	if err != nil {
		b.Fatalf("Dial: %v", err)
	}
	b.Cleanup(func() {
		if err := client.Close(b.Context()); err == nil && client.Stats().Dropped > 0 {
			b.Errorf("%+v", client.Stats())
		}
	})
	return client
}

// BenchmarkEmit measures one call: the cost to the agent's own goroutine. Encoding and
// queueing are in it; sending happens on other cores as far as there are any.
func BenchmarkEmit(b *testing.B) {
	client := benchClient(b, flywheel.WithContent(flywheel.ConsentTraining))
	session := client.Session(flywheel.SessionInfo{Client: "bench", ClientVersion: "1", User: "u", Repository: "r"})
	dims := flywheel.Dimensions{
		Surface: flywheel.SurfaceInlineCompletion, Model: "tab-7b@2026-11-20", Variant: "control", Language: "go",
		ViewKind: flywheel.ViewGhostText, Source: flywheel.SourceNetwork, Trigger: flywheel.TriggerTyping,
	}
	interaction := session.Opportunity(dims).Suggest(flywheel.Suggestion{Output: "return nil, err"})
	for name, emit := range map[string]func(){
		"edit": func() {
			session.Edit(flywheel.Edit{Document: "main.go", Version: 7, Offset: 1234, Text: "fmt.Print", Source: flywheel.EditByUser})
		},
		"opportunity": func() { session.Opportunity(dims) },
		"shown":       func() { interaction.Shown(flywheel.Shown{Latency: time.Millisecond}) },
		"accepted":    func() { interaction.Accepted() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				emit()
			}
		})
	}
}

// BenchmarkDeliver measures whole deliveries: emitted, sent, acknowledged.
func BenchmarkDeliver(b *testing.B) {
	client := benchClient(b)
	session := client.Session(flywheel.SessionInfo{})
	const events = 10_000
	b.ReportAllocs()
	for b.Loop() {
		for i := range events {
			session.Edit(flywheel.Edit{Document: "main.go", Version: uint64(i), Offset: 1234, Text: "fmt.Print", Source: flywheel.EditByUser})
		}
		if err := client.Flush(b.Context()); err != nil {
			b.Fatalf("Flush: %v", err)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkRetainedChars(b *testing.B) {
	var text strings.Builder
	for i := range 2000 {
		text.WriteString(string(rune('a' + i*i%26)))
	}
	later := "x" + text.String()[:500] + "yy" + text.String()[600:] + "z"
	b.ReportAllocs()
	for b.Loop() {
		flywheel.RetainedChars(text.String(), later)
	}
}
