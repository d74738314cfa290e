package processor_test

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

// TestRunLeavesNothingRunning is not parallel: it looks at all goroutines.
func TestRunLeavesNothingRunning(t *testing.T) {
	_ = enginetest.DSN(t) // starts the engine, which goes on
	before := goleak.IgnoreCurrent()
	t.Run("run", func(t *testing.T) {
		p := newPipeline(t)
		p.publishAll(rand.New(rand.NewPCG(1, 1)), sessions(rand.New(rand.NewPCG(1, 2)), 5))
		_, stop := p.run()
		p.drained()
		stop()
	})
	goleak.VerifyNone(t, before)
}

func TestEndToEnd(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 1))
	events := sessions(random, 200)
	p := newPipeline(t)
	p.publishAll(random, events)
	proc, _ := p.run()
	p.drained()
	if diff := cmp.Diff(recounted(t, events), fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	stats := proc.Stats()
	if stats.Events != uint64(len(events)) || stats.Rows == 0 || stats.Rows >= stats.Events || stats.Flushes == 0 || stats.DeadLettered+stats.Retries != 0 {
		t.Errorf("%d events, stats %+v", len(events), stats)
	}
	untouched := p.number(`SELECT count() FROM (
		SELECT tenant, toStartOfMinute(started_at) AS bucket FROM interactions
		UNION ALL SELECT tenant, toStartOfMinute(started_at) FROM opportunities)
		WHERE (tenant, bucket) NOT IN (SELECT tenant, bucket FROM bucket_touches WHERE touches > 0 AND touched_at > now() - 60)`)
	if untouched != 0 {
		t.Errorf("the minutes of %d rows are not touched", untouched)
	}
}

// TestDuplicatesInAnyOrder sends every event up to three times, shuffled, to two
// processors with batches of different sizes.
func TestDuplicatesInAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 1))
	events := sessions(random, 100)
	all := slices.Clone(events)
	for _, e := range events {
		for range random.IntN(3) {
			all = append(all, e)
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	p := newPipeline(t)
	first, _ := p.run(func(c *processor.Config) { c.MaxRows = 10 })
	second, _ := p.run(func(c *processor.Config) { c.MaxBytes = 1000 })
	p.publishAll(random, all)
	p.drained()
	if diff := cmp.Diff(recounted(t, events), fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	if a, b := first.Stats(), second.Stats(); a.Events+b.Events != uint64(len(all)) || a.Events == 0 || b.Events == 0 {
		t.Errorf("%d events sent, %d and %d processed", len(all), a.Events, b.Events)
	}
}

// TestEngineDies kills ClickHouse again and again while events flow.
func TestEngineDies(t *testing.T) {
	t.Parallel()
	eng, err := engine.Start(t.Context(), engine.Config{DataDir: t.TempDir()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	p := &pipeline{tb: t, log: newLog(t, eventlog.DefaultConfig()), db: newDatabase(t, eng.DSN("mortal"))}
	random := rand.New(rand.NewPCG(4, 1))
	proc, _ := p.run(func(c *processor.Config) { c.MaxRows = 20 })
	var events []sent
	for range 2 {
		more := sessions(random, 40)
		events = append(events, more...)
		p.publishAll(random, more[:len(more)/2])
		kill(t, eng.PID())
		p.publishAll(random, more[len(more)/2:])
		flushed := proc.Stats().Flushes
		p.eventually("batches are stored again", func() bool { return proc.Stats().Flushes > flushed })
	}
	p.drained()
	want := recounted(t, events)
	if diff := cmp.Diff(want, fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	if proc.Stats().Retries == 0 {
		t.Error("the engine was never missed")
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestStoppedBeforeAck stops a processor that cannot store one table: what it has in
// hand stays in the log, and its successor stores it at once.
func TestStoppedBeforeAck(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 1))
	events := sessions(random, 30)
	p := newPipeline(t)
	p.exec("RENAME TABLE interactions TO away")
	p.publishAll(random, events)
	proc, stop := p.run(func(c *processor.Config) { c.Grace, c.RetryMin = 50*time.Millisecond, time.Millisecond })
	p.eventually("an insert fails", func() bool { return proc.Stats().Retries > 3 })
	stop()
	pending, err := p.log.Pending(t.Context(), eventlog.Outcome)
	if err != nil || pending == 0 {
		t.Fatalf("%d records pending, error %v", pending, err)
	}
	p.exec("RENAME TABLE away TO interactions")
	began := time.Now()
	p.run()
	p.drained()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the successor got the records after %s", took)
	}
	if diff := cmp.Diff(recounted(t, events), fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	if p.number("SELECT count() FROM bucket_touches") == 0 {
		t.Error("no minute is touched")
	}
}

// TestStopFinishesWhatIsInHand stops a processor whose batch is not due yet.
func TestStopFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 1))
	events := sessions(random, 20)
	p := newPipeline(t)
	p.publishAll(random, events)
	proc, stop := p.run(func(c *processor.Config) { c.MaxDelay = time.Hour })
	p.eventually("everything is read", func() bool { return proc.Stats().Events == uint64(len(events)) })
	stop()
	p.drained()
	if diff := cmp.Diff(recounted(t, events), fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := processor.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	_, err := processor.New(processor.Config{MaxDelay: -1, Grace: -1}, nil, nil, slog.New(slog.DiscardHandler))
	for _, want := range []string{"rows", "bytes", "delayed", "pauses", "grace", "trim"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}
