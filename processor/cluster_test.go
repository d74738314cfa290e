package processor_test

import (
	"flag"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

var clusterCases = flag.Int("cluster.cases", 40, "number of histories of TestClusterChangesNothing")

// newClusterPipeline is a pipeline whose tables are on two shards.
func newClusterPipeline(tb testing.TB) *pipeline {
	tb.Helper()
	db, err := warehouse.OpenCluster(tb.Context(), enginetest.ClusterDSN(tb)[0], enginetest.ClusterName, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return &pipeline{tb: tb, log: newLog(tb, eventlog.DefaultConfig()), db: db}
}

// TestClusterChangesNothing is TestArrivalChangesNothing where the second time the tables
// are on a cluster of two shards.
func TestClusterChangesNothing(t *testing.T) {
	t.Parallel()
	histories, events := newHistories(*clusterCases)
	single, cluster := newPipeline(t), newClusterPipeline(t)
	single.storeInOrder(events)
	cluster.storeAnyhow(rand.New(rand.NewPCG(*propertySeed, 0)), events)
	requireSame(t, single, cluster, histories)
	for _, table := range []string{"interactions", "opportunities", "content", "edits", "steps", "rates"} {
		if got := cluster.number("SELECT uniqExact(_shard_num) FROM " + table); got != 2 {
			t.Errorf("the rows of %s are on %d shards, want 2", table, got)
		}
	}
}
