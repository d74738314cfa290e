package trainset_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

// TestCluster makes the same training sets on one server and on a cluster of two shards:
// their rows must be the same.
func TestCluster(t *testing.T) {
	t.Parallel()
	single, cluster := newStore(t), newStoreAt(t, enginetest.ClusterDSN(t)[1], enginetest.ClusterName)
	single.fill(140)
	cluster.fill(140)
	for _, format := range []flywheelv1.TrainingFormat{supervised, preference, signals} {
		req := &flywheelv1.CreateTrainingSetRequest{Format: format, Selection: &flywheelv1.TrainingSelection{MaxPerUser: 3}}
		want, got := single.sorted(req), cluster.sorted(req)
		if len(want) < 10 {
			t.Errorf("%s: %d rows, which shows nothing", format, len(want))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: rows (-one server +cluster):\n%.3000s", format, diff)
		}
	}
	var tables uint64
	query := "SELECT count() FROM " + cluster.db.System("tables") + " WHERE database = currentDatabase() AND startsWith(name, 'training_set_')"
	if err := cluster.db.Conn().QueryRow(t.Context(), query).Scan(&tables); err != nil || tables != 3*2*2 {
		t.Errorf("%d tables, %v; want of each set one on each shard and one over them, on both servers", tables, err)
	}
}

// sorted are the rows of a training set without those of their times that differ between
// two fills.
func (s *store) sorted(req *flywheelv1.CreateTrainingSetRequest) (rows []string) {
	s.t.Helper()
	_, files := s.made(req)
	for _, row := range files.all(s.t) {
		for _, time := range []string{"started_at", "decided_at", "settles_at"} {
			delete(row, time)
		}
		text, err := json.Marshal(row)
		if err != nil {
			s.t.Fatal(err)
		}
		rows = append(rows, string(text))
	}
	slices.Sort(rows)
	return rows
}
