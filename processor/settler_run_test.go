package processor_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yirifi/flywheel/processor"
)

// TestRunSettlesWhatArrives runs the settler as the processor does.
func TestRunSettlesWhatArrives(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settler := s.settler(func(cfg *processor.SettlerConfig) {
		cfg.Interval, cfg.UserInterval = 10*time.Millisecond, 10*time.Millisecond
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- settler.Run(ctx) }()
	for arrived := 1; arrived <= 3; arrived++ {
		s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: uuid.New(), ShownAt: start}}, nil)
		for table := range strings.FieldsSeq("rates rate_hours rate_days user_rate_hours") {
			s.await(table, "SELECT sum(shown) FROM "+table+" FINAL", uint64(arrived))
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestRunGoesOnAfterAnError takes the table away and brings it back.
func TestRunGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	s.exec("RENAME TABLE rates TO away")
	s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: uuid.New(), ShownAt: start}}, nil)
	cfg := processor.DefaultSettlerConfig()
	cfg.Interval = 10 * time.Millisecond
	logged := make(lines, 1)
	settler, err := processor.NewSettler(cfg, s.DB, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- settler.Run(ctx) }()
	if line := <-logged; !strings.Contains(line, "cannot settle rates") || !strings.Contains(line, "level=ERROR") {
		t.Errorf("logged %q", line)
	}
	s.exec("RENAME TABLE away TO rates")
	s.await("rates", "SELECT sum(shown) FROM rates FINAL", 1)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// lines is a log of which the first line can be waited for.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// TestDeadlineLeavesTheRest settles one batch after the deadline, and the rest of
// the minutes later.
func TestDeadlineLeavesTheRest(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	var parts []interactionPart
	for i := range 20 {
		at := start.Add(time.Duration(i) * time.Minute)
		parts = append(parts, interactionPart{Tenant: "acme", StartedAt: at, ID: uuid.New(), ShownAt: at})
	}
	s.insert(parts, nil)
	settler := s.settler()
	settlement, err := settler.Look(t.Context(), "rates")
	if err != nil {
		t.Fatal(err)
	}
	settled, left, err := settlement.Settle(t.Context(), time.Now())
	if err != nil || settled == 0 || left == 0 || settled+left != 20 {
		t.Fatalf("settled %d, left %d, %v; want one batch of 20", settled, left, err)
	}
	if got := len(s.settled()); got != settled {
		t.Errorf("%d minutes have rates, want %d", got, settled)
	}
	if got := settleOnce(t.Context(), t, settler); got != left {
		t.Errorf("settled %d minutes later, want %d", got, left)
	}
	s.requireRecount(750*time.Millisecond, 0)
}

// TestUsersArePaced touches an hour that has just been settled: it waits.
func TestUsersArePaced(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	patient := s.settler(func(cfg *processor.SettlerConfig) { cfg.UserInterval = time.Hour })
	eager := s.settler(func(cfg *processor.SettlerConfig) { cfg.UserInterval = time.Nanosecond })
	for i, c := range []struct {
		settler *processor.Settler
		want    int
	}{{patient, 1}, {patient, 0}, {eager, 1}, {patient, 0}} {
		s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: uuid.New(), ShownAt: start, User: "ada"}}, nil)
		if got, err := c.settler.TickUsers(t.Context()); err != nil || got != c.want {
			t.Errorf("tick %d: settled %d hours, %v; want %d", i, got, err, c.want)
		}
	}
	settleOnce(t.Context(), t, patient)
	s.requireRecount(750*time.Millisecond, 0)
}

// await polls a number until it is as wanted.
func (s ratesStore) await(what, query string, want uint64) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), 30*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		var got uint64
		if err := s.Conn().QueryRow(ctx, query).Scan(&got); err != nil || got == want {
			if err != nil {
				s.tb.Fatalf("%s: %v", what, err)
			}
			return
		}
		<-poll.C
	}
}
