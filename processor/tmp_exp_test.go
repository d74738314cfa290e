package processor_test

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"context"
	"testing"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

func TestExp(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	events := sessions(random, 10_000)
	p := newPipeline(t)
	proc, err := processor.New(processor.DefaultConfig(), p.log, p.db, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil { t.Fatal(err) }
	go proc.Run(context.Background())
	for i := range 4 {
	t0 := time.Now()
	p.publishAll(random, events)
	t.Logf("%d events published in %s", len(events), time.Since(t0))
	t0 = time.Now()
	tick := time.NewTicker(500 * time.Millisecond)
	for range tick.C {
		a, _ := p.log.Pending(t.Context(), eventlog.Outcome)
		b, _ := p.log.Pending(t.Context(), eventlog.Trace)
		t.Logf("%d %s %+v sent %d pending %d %d", i, time.Since(t0), proc.Stats(), len(events)*(i+1), a, b)
		if a+b == 0 {
			break
		}
	}
	}
}
