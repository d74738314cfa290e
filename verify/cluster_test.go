package verify_test

import (
	"testing"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

// TestCluster verifies tables on two shards, from the one server and the other, and finds
// what is wrong on either.
func TestCluster(t *testing.T) {
	t.Parallel()
	dsns := enginetest.ClusterDSN(t)
	s := newStoreAt(t, dsns[0], enginetest.ClusterName)
	other := newStoreAt(t, dsns[1], "")
	s.fill(150, 3)
	s.settle()
	report := s.requireEqual(wholeChunks)
	if report.Interactions != 150 || report.Opportunities != 150 || report.Signals != 150 {
		t.Errorf("report %+v", report)
	}
	if again := other.requireEqual(wholeChunks); again.Interactions != report.Interactions || again.Minutes != report.Minutes {
		t.Errorf("the other server gives %+v, want %+v", again, report)
	}
	for _, at := range []*store{s, other} {
		at.exec("INSERT INTO rates_local SELECT * REPLACE (shown + 1 AS shown, version + 1 AS version) FROM rates_local FINAL WHERE shown > 0 ORDER BY tenant, bucket LIMIT 1")
		at.requireDifference("rates", "shown")
		at.exec("INSERT INTO bucket_touches SELECT DISTINCT tenant, bucket, 9, now64(3) FROM rates")
		at.settle()
		at.requireEqual(wholeChunks)
	}
}
