package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"
)

// readAll returns the records of a range.
func readAll(t *testing.T, log *Log, r Range) (records []string) {
	t.Helper()
	for m, err := range log.Read(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, string(m.Data()))
	}
	return records
}

// rangeOf is the range of a lane that has one shard.
func rangeOf(log *Log, lane Lane, from, to time.Time) (Range, error) {
	ranges, err := log.Ranges(context.Background(), lane, from, to)
	if err != nil || len(ranges) != 1 {
		return Range{}, fmt.Errorf("%d ranges, %w", len(ranges), err)
	}
	return ranges[0], nil
}

// TestReadBounds reads what was stored between times, acknowledged or not, while a
// consumer goes on undisturbed.
func TestReadBounds(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	publish(t, log, Outcome, "a", "b")
	consumer := consume(t, log, Outcome)
	if err := next(t, consumer).Ack(); err != nil {
		t.Fatal(err)
	}
	second := next(t, consumer)
	early := clockTick(t)
	publish(t, log, Outcome, "c", "d")
	late := clockTick(t)
	publish(t, log, Outcome, "e")
	never := time.Time{}
	for name, c := range map[string]struct {
		from, to time.Time
		want     []string
	}{
		"everything":   {never, never, []string{"a", "b", "c", "d", "e"}},
		"from":         {early, never, []string{"c", "d", "e"}},
		"to":           {never, late, []string{"a", "b", "c", "d"}},
		"both":         {early, late, []string{"c", "d"}},
		"nothing":      {late, early, nil},
		"after it all": {time.Now().Add(time.Hour), never, nil},
		"before it":    {never, time.Unix(1, 0), nil},
	} {
		r, err := rangeOf(log, Outcome, c.from, c.to)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := readAll(t, log, r); !slices.Equal(got, c.want) || int(r.Records()) != len(c.want) {
			t.Errorf("%s: %v of %d, want %v", name, got, r.Records(), c.want)
		}
	}
	if r, err := rangeOf(log, Trace, never, never); err != nil || len(readAll(t, log, r)) != 0 {
		t.Errorf("empty lane: %+v, %v", r, err)
	}
	waitPending(t, log, Outcome, 4)
	if err := second.Ack(); err != nil {
		t.Fatal(err)
	}
	waitPending(t, log, Outcome, 3)
}

// clockTick is a time after everything before the call and before everything after it.
func clockTick(t *testing.T) time.Time {
	t.Helper()
	at := time.Now().Add(time.Millisecond)
	waitFor(t, func() bool { return time.Now().After(at) })
	return at
}

// TestReadWhatIsGone: the log has removed part of the range, or all of it.
func TestReadWhatIsGone(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	publish(t, log, Outcome, "a", "b", "c")
	all, err := rangeOf(log, Outcome, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := log.consuming.js.Stream(t.Context(), "FLYWHEEL_OUTCOME")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, log, all); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("got %v", got)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, log, all); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestReadStops when the loop or the context ends.
func TestReadStops(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	publish(t, log, Outcome, "a", "b", "c")
	all := Range{Lane: Outcome, First: 1, End: 4}
	for m, err := range log.Read(t.Context(), all) {
		if err != nil || m.Sequence() != 1 {
			t.Errorf("got %v, %v", m, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range log.Read(ctx, all) {
		cancel()
		last = err
	}
	if last != nil && !errors.Is(last, context.Canceled) {
		t.Errorf("error %v", last)
	}
}

// TestAttachLeavesTheLimits of a log that another process runs.
func TestAttachLeavesTheLimits(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen, cfg.Token = "127.0.0.1:0", "secret"
	cfg.Outcome.MaxBytes, cfg.Trace.MaxAge = 5<<20, 7*time.Hour
	server := open(t, cfg)
	publish(t, server, Outcome, "a")
	remote := config("")
	remote.URL = server.ServerURL()
	client, err := Attach(t.Context(), remote, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	all, err := rangeOf(client, Outcome, time.Time{}, time.Time{})
	if got := readAll(t, client, all); err != nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for lane, want := range map[Lane]StreamLimits{Outcome: cfg.Outcome, Trace: cfg.Trace} {
		info := fmt.Sprint(limitsOf(t, server, lane))
		if info != fmt.Sprint(want) {
			t.Errorf("limits of %s are %s, want %v", lane, info, want)
		}
	}
	if _, err := Attach(t.Context(), config(t.TempDir()), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("attached to nothing")
	}
}

func limitsOf(t *testing.T, log *Log, lane Lane) StreamLimits {
	t.Helper()
	_, info, err := log.streamInfo(t.Context(), log.lanes[lane].all()[0])
	if err != nil {
		t.Fatal(err)
	}
	return StreamLimits{MaxBytes: info.Config.MaxBytes, MaxAge: info.Config.MaxAge}
}
