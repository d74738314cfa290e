package verify_test

import (
	"testing"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

// TestCluster verifies tables on two shards from the one server and the other, and finds
// what is wrong on the shard that it is not connected to.
func TestCluster(t *testing.T) {
	t.Parallel()
	dsns := enginetest.ClusterDSN(t)
	s := newStoreAt(t, dsns[0], enginetest.ClusterName)
	other := newStoreAt(t, dsns[1], "")
	s.fill(60, 1)
	s.settle()
	if report := s.requireEqual(wholeChunks); report.Interactions != 60 || report.Opportunities != 60 || report.Signals != 60 {
		t.Errorf("report %+v", report)
	}
	other.exec("INSERT INTO rates_local SELECT * REPLACE (shown + 1 AS shown, version + 1 AS version) FROM rates_local FINAL WHERE shown > 0 ORDER BY tenant, bucket LIMIT 1")
	s.requireDifference("rates", "shown")
	s.exec("INSERT INTO bucket_touches SELECT DISTINCT tenant, bucket, 9, now64(3) FROM rates")
	other.settle()
	other.requireEqual(wholeChunks)
}
