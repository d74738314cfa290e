package trainset_test

import (
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

const (
	supervised = flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED
	ready      = flywheelv1.TrainingSetState_TRAINING_SET_STATE_READY
)

func TestSupervised(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(7000)
	set := s.create(&flywheelv1.CreateTrainingSetRequest{
		Format: supervised, Split: &flywheelv1.Split{Validation: 1000, Test: 2000}, Name: "first",
	})
	if set.GetState() != ready {
		t.Fatalf("state %s: %s", set.GetState(), set.GetError())
	}
	t.Log(set)
	got := s.read(&flywheelv1.ReadTrainingSetRequest{TrainingSetId: set.GetTrainingSetId()}, 0)
	n := 0
	for _, split := range []string{"train", "validation", "test"} {
		rows := got.rows(t, split)
		t.Log(split, len(rows), rows[0])
		n += len(rows)
	}
	if n != 4900 {
		t.Errorf("%d rows, want 4900", n)
	}
}
