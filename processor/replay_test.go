package processor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

// replayer returns a processor that only replays, in batches of few rows.
func (p *pipeline) replayer() *processor.Processor {
	p.tb.Helper()
	cfg := processor.DefaultConfig()
	cfg.MaxRows = 50
	proc, err := processor.New(cfg, p.log, p.db, slog.New(slog.DiscardHandler))
	if err != nil {
		p.tb.Fatal(err)
	}
	return proc
}

// whole is all that the log holds of a lane of one shard.
func (p *pipeline) whole(lane eventlog.Lane) eventlog.Range {
	p.tb.Helper()
	ranges, err := p.log.Ranges(p.tb.Context(), lane, time.Time{}, time.Time{})
	if err != nil || len(ranges) != 1 {
		p.tb.Fatalf("%d ranges, %v", len(ranges), err)
	}
	return ranges[0]
}

func (p *pipeline) replayAll() {
	p.tb.Helper()
	for _, lane := range eventlog.Lanes() {
		if err := p.replayer().Replay(p.tb.Context(), p.whole(lane), func(eventlog.Range) {}); err != nil {
			p.tb.Fatal(err)
		}
	}
}

// settledRates are the rates, settled and boiled down.
func (p *pipeline) settledRates() string {
	p.tb.Helper()
	settler, err := processor.NewSettler(processor.DefaultSettlerConfig(), p.db, slog.New(slog.DiscardHandler))
	if err != nil {
		p.tb.Fatal(err)
	}
	settleOnce(p.tb.Context(), p.tb, settler)
	hash := p.number(`SELECT sum(cityHash64(toString(tuple(* EXCEPT (version, settled_at))))) FROM rates FINAL WHERE opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0`)
	return fmt.Sprintf("%x of %d", hash, p.number("SELECT sum(opportunities) FROM rates FINAL"))
}

// stored is everything that replays must leave or make as it was.
func (p *pipeline) stored() string { return fingerprints(p.tb, p.db) + p.settledRates() }

func (p *pipeline) truncate() {
	p.tb.Helper()
	for table := range strings.FieldsSeq("interactions opportunities content edits steps bucket_touches settled_buckets rates rate_hours rate_days settled_rollups user_rate_hours") {
		p.exec("TRUNCATE TABLE " + table)
	}
}

// TestReplayRebuildsTables: what the log holds makes the same tables and rates again,
// and once more on top of them changes nothing.
func TestReplayRebuildsTables(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	_, stop := p.run()
	p.publishAll(rand.New(rand.NewPCG(5, 1)), sessions(rand.New(rand.NewPCG(5, 2)), 60))
	p.drained()
	stop()
	want := p.stored()
	p.truncate()
	if p.stored() == want {
		t.Fatal("nothing was truncated")
	}
	p.replayAll()
	if got := p.stored(); got != want {
		t.Errorf("after a replay into empty tables:\n%s\nwant\n%s", got, want)
	}
	p.replayAll()
	if got := p.stored(); got != want {
		t.Errorf("after a replay into full tables:\n%s\nwant\n%s", got, want)
	}
}

// TestReplayBesideTraffic replays while processors store what comes in.
func TestReplayBesideTraffic(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	_, stop := p.run()
	early, late := sessions(rand.New(rand.NewPCG(6, 1)), 30), sessions(rand.New(rand.NewPCG(6, 2)), 30)
	p.publishAll(rand.New(rand.NewPCG(6, 3)), early)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.publishAll(rand.New(rand.NewPCG(6, 4)), late)
	}()
	p.replayAll()
	<-done
	p.replayAll()
	p.drained()
	stop()
	if got, want := fingerprints(t, p.db), recounted(t, append(early, late...)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReplayResumes stops a replay after its first batch and goes on where it was.
func TestReplayResumes(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	_, stop := p.run()
	p.publishAll(rand.New(rand.NewPCG(7, 1)), sessions(rand.New(rand.NewPCG(7, 2)), 60))
	p.drained()
	stop()
	want := p.stored()
	p.truncate()
	for _, lane := range eventlog.Lanes() {
		all := p.whole(lane)
		left := all
		ctx, cancel := context.WithCancel(t.Context())
		err := p.replayer().Replay(ctx, all, func(l eventlog.Range) {
			left = l
			cancel()
		})
		if !errors.Is(err, context.Canceled) || left.First <= all.First || left.First >= all.End || left.End != all.End {
			t.Fatalf("stopped at %+v of %+v: %v", left, all, err)
		}
		if err := p.replayer().Replay(t.Context(), left, func(l eventlog.Range) { left = l }); err != nil {
			t.Fatal(err)
		}
		if left.Records() != 0 {
			t.Errorf("left %+v of %+v", left, all)
		}
	}
	if got := p.stored(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReplaySetsAside what cannot be decoded, as processors do.
func TestReplaySetsAside(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.publishBytes(eventlog.Outcome, []byte("no record"))
	p.replayAll()
	if letters := p.deadLetters(); len(letters) != 1 || letters[0].Sequence != 1 {
		t.Errorf("dead letters %+v", letters)
	}
}
