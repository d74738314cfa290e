package eventlog

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func shardNames(log *Log, lane Lane) (names []string) {
	for _, s := range log.lanes[lane].all() {
		names = append(names, s.name)
	}
	return names
}

// TestShardsGrow: a process that knows of one shard reads what another, with more,
// publishes.
func TestShardsGrow(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen = "127.0.0.1:0"
	log := open(t, cfg)
	publish(t, log, Outcome, "before ")
	delivered := collect(t, consume(t, log, Outcome))
	remote := config("")
	remote.URL, remote.Shards = log.ServerURL(), 3
	wide := open(t, remote)
	for i := range 9 {
		publish(t, wide, Outcome, fmt.Sprintf("r%d ", i))
	}
	waitFor(t, func() bool { return delivered.len() == 10 })
	waitPending(t, log, Outcome, 0)
	waitPending(t, log, Trace, 0)
	if got, want := shardNames(log, Outcome), []string{"FLYWHEEL_OUTCOME", "FLYWHEEL_OUTCOME_1", "FLYWHEEL_OUTCOME_2"}; !slices.Equal(got, want) {
		t.Errorf("shards are %v, want %v", got, want)
	}
	ranges, err := log.Ranges(t.Context(), Outcome, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var records []uint64
	for _, r := range ranges {
		records = append(records, r.Records())
	}
	if want := []uint64{4, 3, 3}; !slices.Equal(records, want) {
		t.Errorf("the shards hold %v records, want %v", records, want)
	}
	status, err := log.Status(t.Context())
	if err != nil || len(status.Streams) != 7 {
		t.Errorf("status of %d streams, %v", len(status.Streams), err)
	}
}

// TestShardsShrink: what is in shards that nobody writes to any more is counted,
// delivered, rewound and trimmed, until somebody removes the streams.
func TestShardsShrink(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Shards = 3
	log := open(t, cfg)
	for i := range 6 {
		publish(t, log, Outcome, fmt.Sprintf("wide%d ", i))
	}
	cfg.Shards = 1
	log = reopen(t, log, cfg)
	waitPending(t, log, Outcome, 6)
	publish(t, log, Outcome, "narrow0 ", "narrow1 ")
	consumer := consume(t, log, Outcome)
	seen := map[string]bool{}
	for range 8 {
		m := next(t, consumer)
		seen[string(m.Data())] = true
		if err := m.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 8 {
		t.Errorf("delivered are %v", seen)
	}
	waitPending(t, log, Outcome, 0)
	log = reopen(t, log, cfg)
	if err := log.Rewind(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	waitPending(t, log, Outcome, 8)

	delivered := collect(t, consume(t, log, Outcome))
	waitFor(t, func() bool { return delivered.len() == 8 })
	for _, name := range []string{"FLYWHEEL_OUTCOME_1", "FLYWHEEL_OUTCOME_2"} {
		if err := log.consuming.js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, log, Outcome, "after ")
	waitFor(t, func() bool { return delivered.len() == 9 })
	waitPending(t, log, Outcome, 0)
	if err := errors.Join(log.Trim(t.Context()), log.Health(t.Context())); err != nil {
		t.Error(err)
	}
	if got := shardNames(log, Outcome); len(got) != 1 {
		t.Errorf("shards are %v", got)
	}
}

// TestFullShard: records go to another shard while one is full, and are refused when
// all are.
func TestFullShard(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Trace.MaxBytes = 1 << 20
	log := open(t, cfg)
	stored := fill(t, log, Trace)
	cfg.Shards = 2
	log = reopen(t, log, cfg)
	if more := fill(t, log, Trace); more != stored {
		t.Errorf("the second shard took %d records, the first %d", more, stored)
	}
}

// TestDeadLetterOfShard keeps which record it was.
func TestDeadLetterOfShard(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	if err := log.DeadLetter(t.Context(), DeadLetter{Lane: Trace, Shard: 2, Sequence: 5, Batch: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	if got, err := log.DeadLetterAt(t.Context(), 1); err != nil || got.Shard != 2 || got.Sequence != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}
