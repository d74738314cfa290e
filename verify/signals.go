package verify

import (
	"fmt"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor/signal"
)

// signals are the stored rows of training_signals, read along with the interactions.
type signals struct {
	next func() (row, error, bool)
	into *recount

	// at and definition are the key of the row that is due, unless they have ended.
	row          row
	at           item
	definition   uint32
	begun, ended bool
}

// advance reads the next row's key.
func (s *signals) advance() error {
	r, err, more := s.next()
	s.begun, s.ended = true, !more
	if err != nil || !more {
		return err
	}
	s.at, s.definition = r.item(), r.u32()
	s.row = r
	return nil
}

// compare compares the rows of an interaction with what the definitions say.
func (s *signals) compare(i *interaction, definitions []signal.Definition) error {
	if !s.begun {
		if err := s.advance(); err != nil {
			return err
		}
	}
	for !s.ended && s.at.before(i.item) {
		if err := s.skip(); err != nil {
			return err
		}
	}
	for d := range definitions {
		s.into.signals++
		if s.ended || s.at != i.item || s.definition != definitions[d].Version {
			s.note(i.item, definitions[d].Version, "row", "none", "one")
			continue
		}
		if err := s.compareValues(i, &definitions[d]); err != nil {
			return err
		}
		if err := s.advance(); err != nil {
			return err
		}
	}
	return nil
}

// finish reads the rows that are left.
func (s *signals) finish() error {
	if !s.begun {
		if err := s.advance(); err != nil {
			return err
		}
	}
	for !s.ended {
		if err := s.skip(); err != nil {
			return err
		}
	}
	return nil
}

// skip notes a row to which there is no interaction.
func (s *signals) skip() error {
	s.note(s.at, s.definition, "row", "one", "none")
	return s.advance()
}

// compareValues compares label, parts and reward.
func (s *signals) compareValues(i *interaction, d *signal.Definition) error {
	label := int64(d.Label(&i.Interaction))
	reward := d.Reward(&i.Interaction)
	for _, column := range [...]struct {
		name string
		want int64
	}{
		{"label", label},
		{"outcome_part", reward.Outcome},
		{"retention_part", reward.Retention},
		{"kept_part", reward.Kept},
		{"feedback_part", reward.Feedback},
		{"task_part", reward.Task},
		{"reward_e4", reward.Total},
	} {
		if got := s.row.i64(); got != column.want {
			s.note(i.item, d.Version, column.name, signalValue(column.name, got), signalValue(column.name, column.want))
		}
	}
	if got, want := s.row.f64(), float64(reward.Total)/10_000; got != want {
		s.note(i.item, d.Version, "reward", fmt.Sprint(got), fmt.Sprint(want))
	}
	return s.row.end()
}

// signalValue writes labels by their names.
func signalValue(column string, n int64) string {
	if column == "label" {
		return flywheelv1.Outcome(n).String()
	}
	return fmt.Sprint(n)
}

func (s *signals) note(i item, definition uint32, column, stored, recounted string) {
	at := i.minute()
	f := s.into.wrong[at]
	if f == nil {
		f = &finding{}
		s.into.wrong[at] = f
	}
	f.add(Difference{
		Table: tableSignals, Key: fmt.Sprintf("%s definition=%d", i, definition),
		Column: column, Stored: stored, Recounted: recounted,
	})
}
