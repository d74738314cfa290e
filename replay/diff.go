package replay

import (
	"fmt"
	"slices"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Diff compares a tally with rates that were asked for grouped by model, over all
// the tally's time and nothing but its events. It returns one line per count that
// differs; none means that the report equals the replay's own count.
func Diff(tally *Tally, rows []*flywheelv1.RatesRow) []string {
	var found []string
	reported := map[string]*flywheelv1.RatesRow{}
	for _, row := range rows {
		model := ""
		if len(row.GetGroup()) > 0 {
			model = row.GetGroup()[0]
		}
		if !slices.ContainsFunc(tally.Models, func(m ModelTally) bool { return m.Model == model }) {
			found = append(found, fmt.Sprintf("%q: reported, but no model of the replay", model))
		}
		if reported[model] != nil {
			found = append(found, fmt.Sprintf("%q: reported more than once; group by model alone", model))
		}
		reported[model] = row
	}
	for _, m := range tally.Models {
		found = append(found, m.diff(reported[m.Model])...)
	}
	return found
}

// diff compares one model. A model without a row was reported as nothing.
func (m ModelTally) diff(row *flywheelv1.RatesRow) []string {
	var found []string
	compare := func(name string, tallied, reported uint64) {
		if tallied != reported {
			found = append(found, fmt.Sprintf("%s: %s: tallied %d, reported %d", m.Model, name, tallied, reported))
		}
	}
	reported := countsOf(row)
	theirs := reported.fields()
	for i, mine := range m.fields() {
		// The report has no count of outputs: shown and not shown add up to it.
		if mine.name != "suggestions" {
			compare(mine.name, *mine.value, *theirs[i].value)
		}
	}
	compare("auto_accepted", 0, row.GetCounts().GetAutoAccepted())
	for i, mine := range m.Retention {
		at := fmt.Sprintf("retention after %d s: ", mine.DelaySeconds)
		compare(at+"interactions", mine.Interactions, reported.Retention[i].Interactions)
		compare(at+"retained characters", mine.RetainedChars, reported.Retention[i].RetainedChars)
		compare(at+"characters at 0 s", mine.BaseChars, reported.Retention[i].BaseChars)
	}
	return found
}

// countsOf reads a report into the shape of the tally.
func countsOf(row *flywheelv1.RatesRow) *Counts {
	counts, from := newCounts(), row.GetCounts()
	counts.Opportunities = from.GetOpportunities()
	counts.NotProduced = from.GetNotProduced()
	counts.Shown = from.GetShown()
	counts.NotShown = from.GetNotShown()
	counts.Read = from.GetRead()
	counts.Accepted = from.GetAccepted()
	counts.PartiallyAccepted = from.GetPartiallyAccepted()
	counts.AcceptedModified = from.GetAcceptedModified()
	counts.Rejected = from.GetRejected()
	counts.Ignored = from.GetIgnored()
	counts.Superseded = from.GetSuperseded()
	counts.Cancelled = from.GetCancelled()
	counts.Undecided = from.GetUndecided()
	counts.ShownChars = from.GetShownChars()
	counts.AcceptedChars = from.GetAcceptedChars()
	for _, result := range from.GetTaskResults() {
		if result.GetResult() == flywheelv1.TaskResult_TASK_RESULT_COMMITTED {
			counts.Committed = result.GetCount()
		}
	}
	for _, r := range row.GetRetention() {
		i := slices.IndexFunc(counts.Retention[:], func(c RetentionCount) bool { return c.DelaySeconds == r.GetDelayS() })
		if i >= 0 {
			counts.Retention[i].Interactions = r.GetInteractions()
			counts.Retention[i].RetainedChars = r.GetRetainedChars()
			counts.Retention[i].BaseChars = r.GetBaseChars()
		}
	}
	return counts
}
