package processor_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// TestShards: what is in the shards of a lane is stored, and set aside with the shard
// that it was in; a replay of each shard changes nothing.
func TestShards(t *testing.T) {
	t.Parallel()
	cfg := eventlog.DefaultConfig()
	cfg.Shards = 2
	p := &pipeline{tb: t, log: newLog(t, cfg), db: newDatabase(t, enginetest.DSN(t))}
	random := rand.New(rand.NewPCG(9, 1))
	good := sessions(random, 30)
	p.publishAll(random, good)
	for range cfg.Shards {
		p.publishBytes(eventlog.Outcome, []byte("no record"))
	}
	p.run()
	p.drained()
	want := recounted(t, good)
	if diff := cmp.Diff(want, fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	letters := p.deadLetters()
	if len(letters) != 2 || letters[0].Shard+letters[1].Shard != 1 {
		t.Errorf("dead letters are %+v, want one of each shard", letters)
	}
	for _, lane := range eventlog.Lanes() {
		ranges, err := p.log.Ranges(t.Context(), lane, time.Time{}, time.Time{})
		if err != nil || len(ranges) != cfg.Shards {
			t.Fatalf("%d ranges, %v", len(ranges), err)
		}
		for _, r := range ranges {
			if r.Records() == 0 {
				t.Errorf("shard %d of lane %s is empty", r.Shard, lane)
			}
			if err := p.replayer().Replay(t.Context(), r, func(eventlog.Range) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(want, fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +replayed:\n%s", diff)
	}
}
