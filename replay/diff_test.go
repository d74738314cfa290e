package replay

import (
	"strings"
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// tallyAndReport returns a tally and the report that agrees with it.
func tallyAndReport() (*Tally, []*flywheelv1.RatesRow) {
	m := ModelTally{Model: "a@1", Counts: *newCounts()}
	for i, f := range m.fields() {
		*f.value = uint64(100 + i)
	}
	row := &flywheelv1.RatesRow{
		Group: []string{"a@1"},
		Counts: &flywheelv1.Counts{
			Opportunities: m.Opportunities, NotProduced: m.NotProduced, Shown: m.Shown, NotShown: m.NotShown,
			Read: m.Read, Accepted: m.Accepted, PartiallyAccepted: m.PartiallyAccepted,
			AcceptedModified: m.AcceptedModified, Rejected: m.Rejected, Ignored: m.Ignored,
			Superseded: m.Superseded, Cancelled: m.Cancelled, Undecided: m.Undecided,
			ShownChars: m.ShownChars, AcceptedChars: m.AcceptedChars,
			TaskResults: []*flywheelv1.TaskResultCount{
				{Result: flywheelv1.TaskResult_TASK_RESULT_SOLVED, Count: 7},
				{Result: flywheelv1.TaskResult_TASK_RESULT_COMMITTED, Count: m.Committed},
			},
		},
	}
	for i := range m.Retention {
		m.kept(i, uint64(10-i), 10)
		row.Retention = append(row.Retention, &flywheelv1.RetentionRate{
			DelayS: m.Retention[i].DelaySeconds, Interactions: 1, RetainedChars: uint64(10 - i), BaseChars: 10,
		})
	}
	return &Tally{Models: []ModelTally{m}}, []*flywheelv1.RatesRow{row}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow
		want   []string
	}{
		{"equal", func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow { return []*flywheelv1.RatesRow{row} }, nil},
		{"one count", func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow {
			row.Counts.Read++
			return []*flywheelv1.RatesRow{row}
		}, []string{"a@1: read: tallied 105, reported 106"}},
		{"retention", func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow {
			row.Retention[6].RetainedChars = 0
			return []*flywheelv1.RatesRow{row}
		}, []string{"a@1: retention after 900 s: retained characters: tallied 4, reported 0"}},
		{"automatic acceptances", func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow {
			row.Counts.AutoAccepted = 2
			return []*flywheelv1.RatesRow{row}
		}, []string{"a@1: auto_accepted: tallied 0, reported 2"}},
		{"a model nobody ran", func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow {
			return []*flywheelv1.RatesRow{row, {Group: []string{"b"}}}
		}, []string{`"b": reported, but no model of the replay`}},
		{"more than one row", func(row *flywheelv1.RatesRow) []*flywheelv1.RatesRow {
			return []*flywheelv1.RatesRow{row, row}
		}, []string{`"a@1": reported more than once; group by model alone`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tally, rows := tallyAndReport()
			got, want := strings.Join(Diff(tally, c.change(rows[0])), "\n"), strings.Join(c.want, "\n")
			if got != want {
				t.Errorf("differences:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestDiffOfNothingReported(t *testing.T) {
	t.Parallel()
	tally, _ := tallyAndReport()
	// All counts but the suggestions, and three per delay.
	if got, want := len(Diff(tally, nil)), 16+3*7; got != want {
		t.Errorf("%d differences, want %d", got, want)
	}
}
