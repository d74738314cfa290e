package eventlog

import (
	"errors"
	"strings"
	"testing"
)

// TestTraceGivesWay: trace is refused while outcome, which is not, has filled more than
// three quarters of its lane, and taken again when that has drained.
func TestTraceGivesWay(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Outcome.MaxBytes = 1 << 20
	cfg.KeepProcessed = 0
	log := open(t, cfg)
	record := make([]byte, 64<<10)
	stored := 0
	for ; log.Publish(t.Context(), Trace, []byte("x")) == nil; stored++ {
		if err := log.Publish(t.Context(), Outcome, record); err != nil {
			t.Fatalf("outcome is refused first: %v", err)
		}
	}
	err := log.Publish(t.Context(), Trace, []byte("x"))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "trace gives way to outcome") {
		t.Errorf("trace: %v", err)
	}
	if part := float64(stored*len(record)) / float64(cfg.Outcome.MaxBytes); part < 0.7 || part > 0.8 {
		t.Errorf("trace gives way when outcome has filled %.2f of its lane, want about 0.75", part)
	}
	stored += fill(t, log, Outcome)
	if err := log.DeadLetter(t.Context(), DeadLetter{Batch: record}); err != nil {
		t.Errorf("a dead letter has its own room: %v", err)
	}

	consumer := consume(t, log, Outcome)
	for range stored {
		if err := next(t, consumer).Ack(); err != nil {
			t.Fatal(err)
		}
	}
	waitPending(t, log, Outcome, 0)
	if err := log.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return log.Publish(t.Context(), Trace, []byte("x")) == nil })
}
