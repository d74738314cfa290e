// Package evaluation compares a model's predictions with a held-out split of a training
// set: offline, before anybody sees the model.
//
// What the truth is depends on the training set's format: the completion that was kept
// (supervised) or the excerpt as it became (next_edit). Other formats have none and are
// refused. The scores are defined at [flywheelv1.EvaluationScores].
package evaluation

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Evaluate compares predictions with the rows of a split, which are streamed. Model,
// training set and time of the result are the caller's to set.
func Evaluate(ctx context.Context, set Set, split string, predictions Predictions) (*flywheelv1.Evaluation, error) {
	var total scores
	languages := map[string]*scores{}
	known := map[uuid.UUID]bool{}
	for row, err := range set.rows(ctx, split) {
		if err != nil {
			return nil, err
		}
		of := languages[row.language]
		if of == nil {
			of = new(scores)
			languages[row.language] = of
		}
		text, there := predictions[row.interaction]
		if !there {
			total.miss()
			of.miss()
			continue
		}
		known[row.interaction] = true
		c := compare(text, row.truth)
		total.add(c)
		of.add(c)
	}
	found := &flywheelv1.Evaluation{Split: split, Unknown: uint64(len(predictions) - len(known)), Total: total.message("")}
	for _, language := range slices.Sorted(maps.Keys(languages)) {
		found.Languages = append(found.Languages, languages[language].message(language))
	}
	return found, nil
}
