package signal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// unit is a weight or a share of 1: they are whole numbers of 1/10000, so that rewards
// are the same to the last bit in every language and on every machine.
const unit = 10_000

// Definition says what labels and rewards mean. A definition never changes: another
// meaning is another version. The view training_signals computes the same in SQL for
// every definition in the table definitions, whose columns these fields are.
type Definition struct {
	// Version is its number, from 1.
	Version uint32
	Name    string
	Notes   string
	// CreatedAt is when it was stored.
	CreatedAt time.Time

	// Window is the attribution window: how long after its start an interaction is
	// settled.
	Window time.Duration
	// MinReject is how long an interaction must have been visible for its rejection to
	// count: a faster one counts as ignored. A rejection of something whose visible time
	// was not measured counts.
	MinReject time.Duration
	// FastReject: a rejection of what was visible for less is fast.
	FastReject time.Duration

	Weights Weights
}

// Weights are what the parts of a reward are multiplied by, in 1/10000.
type Weights struct {
	Accepted, AcceptedModified int32
	// PartiallyAccepted is multiplied by the share of the output that was accepted; one
	// half where lengths are not known.
	PartiallyAccepted int32
	// Rejected counts for every rejection. RejectedFast adds to it for a fast one: all of
	// it for one at once, in proportion less the later it came.
	Rejected, RejectedFast int32
	// Retention is multiplied by how much of the accepted text was retained, from -1
	// (nothing) to 1 (all): the mean over the delays measured on the same branch, each
	// by its weight in Delays.
	Retention int32
	Delays    [7]uint32
	// Kept is multiplied by the share of the output's characters that was accepted and
	// still there at the longest delay measured.
	Kept int32
	// Thumb counts for a thumb up and against for a thumb down.
	Thumb int32
	// Rating is multiplied by the rating, from -1 (0 of 100) to 1 (100 of 100).
	Rating int32
	// TaskResults holds one weight per TaskResult, from TESTS_PASSED on.
	TaskResults [9]int32
}

// DefaultDefinition is the definition that Flywheel brings along (migration 0012).
func DefaultDefinition() Definition {
	return Definition{
		Version:    1,
		Name:       "default",
		Notes:      "Acceptance, retention, feedback and task outcome.",
		Window:     time.Hour,
		FastReject: 2 * time.Second,
		Weights: Weights{
			Accepted:          3000,
			AcceptedModified:  2000,
			PartiallyAccepted: 3000,
			Rejected:          -4000,
			RejectedFast:      -3000,
			Retention:         4000,
			Delays:            [7]uint32{0, 1, 1, 2, 2, 2, 4},
			Kept:              2000,
			Thumb:             3000,
			Rating:            3000,
			TaskResults:       [9]int32{2000, -2000, 500, -1000, 1000, 2000, -6000, 3000, -3000},
		},
	}
}

// Reward is a reward and its parts, in 1/10000.
type Reward struct {
	Outcome, Retention, Kept, Feedback, Task int64
	// Total is the sum of the parts, cut to [-10000, 10000].
	Total int64
}

// Label returns the outcome that an interaction, merged from all of its partial rows,
// counts with.
func (d *Definition) Label(row *warehouse.Interaction) flywheelv1.Outcome {
	outcome := flywheelv1.Outcome(row.OutcomeRank & 0xff)
	visible := time.Duration(row.VisibleUs) * time.Microsecond
	if outcome == flywheelv1.Outcome_OUTCOME_REJECTED && visible > 0 && visible < d.MinReject {
		return flywheelv1.Outcome_OUTCOME_IGNORED
	}
	return outcome
}

// Reward returns what an interaction, merged from all of its partial rows, was worth.
func (d *Definition) Reward(row *warehouse.Interaction) Reward {
	label := d.Label(row)
	measured := measuredRetention(row, label)
	r := Reward{
		Outcome:   d.outcome(row, label),
		Retention: d.retention(measured),
		Kept:      d.kept(row, measured),
		Feedback:  d.feedback(row),
		Task:      d.task(row),
	}
	r.Total = max(min(r.Outcome+r.Retention+r.Kept+r.Feedback+r.Task, unit), -unit)
	return r
}

func (d *Definition) outcome(row *warehouse.Interaction, label flywheelv1.Outcome) int64 {
	w := &d.Weights
	switch label {
	case flywheelv1.Outcome_OUTCOME_ACCEPTED:
		return int64(w.Accepted)
	case flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED:
		return int64(w.AcceptedModified)
	case flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED:
		return int64(w.PartiallyAccepted) * share(int64(row.AcceptedChars), int64(row.OutputChars), unit/2) / unit
	case flywheelv1.Outcome_OUTCOME_REJECTED:
		fast := d.FastReject.Microseconds()
		if row.VisibleUs == 0 || row.VisibleUs >= uint64(fast) {
			return int64(w.Rejected)
		}
		return int64(w.Rejected) + int64(w.RejectedFast)*(unit-share(int64(row.VisibleUs), fast, 0))/unit
	default:
		return 0
	}
}

// retained is how many characters of an accepted text were left at each delay.
type retained [7]struct {
	chars    int64
	measured bool
}

// measuredRetention leaves out what was measured after a change of branch.
func measuredRetention(row *warehouse.Interaction, label flywheelv1.Outcome) (r retained) {
	if outcomeClass(label) != outcomeClass(flywheelv1.Outcome_OUTCOME_ACCEPTED) {
		return r
	}
	for i, chars := range row.RetainedChars {
		if chars > 0 && row.BranchChanged>>i&1 == 0 {
			r[i].chars, r[i].measured = int64(chars)-1, true
		}
	}
	return r
}

func (d *Definition) retention(r retained) int64 {
	base := r[0].chars
	if base == 0 {
		return 0
	}
	var sum, weights int64
	for i, weight := range d.Weights.Delays {
		if r[i].measured {
			weights += int64(weight)
			sum += int64(weight) * share(r[i].chars, base, 0)
		}
	}
	if weights == 0 {
		return 0
	}
	return int64(d.Weights.Retention) * (2*(sum/weights) - unit) / unit
}

func (d *Definition) kept(row *warehouse.Interaction, r retained) int64 {
	var kept int64
	for _, at := range r {
		if at.measured {
			kept = at.chars
		}
	}
	return int64(d.Weights.Kept) * share(kept, int64(row.OutputChars), 0) / unit
}

func (d *Definition) feedback(row *warehouse.Interaction) (sum int64) {
	switch flywheelv1.Thumb(row.ThumbRank & 0xff) {
	case flywheelv1.Thumb_THUMB_UP:
		sum += int64(d.Weights.Thumb)
	case flywheelv1.Thumb_THUMB_DOWN:
		sum -= int64(d.Weights.Thumb)
	case flywheelv1.Thumb_THUMB_UNSPECIFIED:
	}
	if row.RatingRank > 0 {
		rating := int64(row.RatingRank&0xff) - 1
		sum += int64(d.Weights.Rating) * (rating - 50) / 50
	}
	return sum
}

func (d *Definition) task(row *warehouse.Interaction) (sum int64) {
	for i, weight := range d.Weights.TaskResults {
		if row.TaskResults>>(i+1)&1 == 1 {
			sum += int64(weight)
		}
	}
	return sum
}

// share is part ÷ whole in 1/10000, at most 1; unknown where there is no whole.
func share(part, whole, unknown int64) int64 {
	if whole <= 0 {
		return unknown
	}
	return min(part*unit/whole, unit)
}

// maxWindow is the longest attribution window.
const maxWindow = 90 * 24 * time.Hour

// Validate returns everything that is wrong with the definition, or nil.
func (d *Definition) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if d.Version == 0 {
		wrong("version is missing: definitions are numbered from 1")
	}
	if d.Name == "" {
		wrong("name is missing")
	}
	if d.Window < time.Second || d.Window > maxWindow || d.Window%time.Second != 0 {
		wrong("window %s: whole seconds up to %s are needed", d.Window, maxWindow)
	}
	if d.MinReject < 0 {
		wrong("min_reject %s: it cannot be negative", d.MinReject)
	}
	if d.FastReject < 0 {
		wrong("fast_reject %s: it cannot be negative", d.FastReject)
	}
	w := &d.Weights
	for name, weight := range map[string]int32{
		"accepted": w.Accepted, "accepted_modified": w.AcceptedModified, "partially_accepted": w.PartiallyAccepted,
		"rejected": w.Rejected, "rejected_fast": w.RejectedFast, "retention": w.Retention, "kept": w.Kept,
		"thumb": w.Thumb, "rating": w.Rating,
	} {
		if weight < -unit || weight > unit {
			wrong("weight %s %v: -1 to 1 is possible", name, float64(weight)/unit)
		}
	}
	for i, weight := range w.TaskResults {
		if weight < -unit || weight > unit {
			wrong("weight of task result %d %v: -1 to 1 is possible", i+1, float64(weight)/unit)
		}
	}
	for i, weight := range w.Delays {
		if weight > 1000 {
			wrong("weight of delay %d s %d: 0 to 1000 is possible", warehouse.RetentionDelays()[i], weight)
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
		return fmt.Errorf("check definition %d: %w", d.Version, errors.Join(errs...))
	}
	return nil
}
