package evaluation

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/rows"
)

// Set is a training set with truths that predictions are compared with.
type Set struct{ *rows.Set }

// Open opens a training set in a folder. It refuses a format that has no truth.
func Open(folder string) (Set, error) {
	set, err := rows.Open(folder, flywheelv1.TrainingFormat_TRAINING_FORMAT_SUPERVISED, flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT)
	return Set{set}, err
}

// row is one row of a split.
type row struct {
	interaction     uuid.UUID
	language, truth string
}

// rows streams the rows of a split. The first error is the last thing that comes.
func (s Set) rows(ctx context.Context, split string) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		n := 0
		for read, err := range s.Rows(split) {
			if err == nil {
				err = ctx.Err()
			}
			n++
			id, wrong := uuid.Parse(read.InteractionID)
			if err == nil && wrong != nil {
				err = fmt.Errorf("row %d of split %s: interaction_id %q: a UUID is needed", n, split, read.InteractionID)
			}
			r := row{interaction: id, language: read.Language, truth: read.Completion}
			if s.Format() == flywheelv1.TrainingFormat_TRAINING_FORMAT_NEXT_EDIT {
				r.truth = read.Output
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
		if n == 0 {
			yield(row{}, fmt.Errorf("split %q has no rows: export with a share for it", split))
		}
	}
}
