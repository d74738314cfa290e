package processor_test

import (
	"math"
	"reflect"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// mergeParts adds a partial row to another of the same key as the tables do: the
// greater value, or the union of bits.
func mergeParts[T any](into *T, part T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if field.Anonymous {
			continue
		}
		to, from := reflect.ValueOf(into).Elem().FieldByIndex(field.Index), reflect.ValueOf(part).FieldByIndex(field.Index)
		switch value := from.Interface().(type) {
		case time.Time:
			if value.After(to.Interface().(time.Time)) {
				to.Set(from)
			}
		case string:
			to.SetString(max(to.String(), value))
		case uuid.UUID:
			to.Set(from)
		default:
			if field.Tag.Get("merge") == "or" {
				to.SetUint(to.Uint() | from.Uint())
			} else {
				to.SetUint(max(to.Uint(), from.Uint()))
			}
		}
	}
}

// requireRecount fails the test unless the rates of minutes, hours, days and users
// equal a recount.
func (s ratesStore) requireRecount(minRead, minReject time.Duration) {
	s.tb.Helper()
	minutes, users := s.recount(minRead, minReject)
	for _, c := range []struct {
		what string
		diff string
	}{
		{"rates", diffRates(minutes, s.settledIn("rates"))},
		{"rate_hours", diffRates(sumRates(minutes, time.Hour), s.settledIn("rate_hours"))},
		{"rate_days", diffRates(sumRates(minutes, 24*time.Hour), s.settledIn("rate_days"))},
		{"user_rate_hours", diffUsers(users, s.settledUsers("user_rate_hours FINAL"))},
		{"user_rates", diffUsers(sumUsers(users), s.settledUsers("(SELECT *, toDateTime(day, 'UTC') AS bucket FROM user_rates)"))},
	} {
		if c.diff != "" {
			s.tb.Fatalf("%s differ from the recount (-recount +%s):\n%.4000s", c.what, c.what, c.diff)
		}
	}
}

// recount counts everything again from the partial rows, in Go, one interaction
// at a time: slow, simple and independent of the settler's SQL. It returns the rates of
// minutes, and those of users per hour.
func (s ratesStore) recount(minRead, minReject time.Duration) ([]rateRow, []userRow) {
	s.tb.Helper()
	minutes, hours := newRateTally(), newUserTally()
	merged := map[uuid.UUID]*interactionPart{}
	for _, part := range selectRows[interactionPart](s, "interactions") {
		if merged[part.ID] == nil {
			merged[part.ID] = new(interactionPart)
		}
		mergeParts(merged[part.ID], part)
	}
	for _, row := range merged {
		minutes.at(rateRow{Tenant: row.Tenant, Bucket: row.StartedAt.Truncate(time.Minute), rateDimensions: row.rateDimensions}).countInteraction(*row, minRead, minReject)
		hours.at(userRow{Tenant: row.Tenant, Bucket: row.StartedAt.Truncate(time.Hour), Experiment: row.Experiment, Variant: row.Variant, User: row.User}).countInteraction(*row, minRead, minReject)
	}
	opened := map[uuid.UUID]*opportunityPart{}
	for _, part := range selectRows[opportunityPart](s, "opportunities") {
		if opened[part.ID] == nil {
			opened[part.ID] = new(opportunityPart)
		}
		mergeParts(opened[part.ID], part)
	}
	for _, row := range opened {
		minutes.at(rateRow{Tenant: row.Tenant, Bucket: row.StartedAt.Truncate(time.Minute), rateDimensions: row.rateDimensions}).countOpportunity(*row)
		hours.at(userRow{Tenant: row.Tenant, Bucket: row.StartedAt.Truncate(time.Hour), Experiment: row.Experiment, Variant: row.Variant, User: row.User}).countOpportunity(*row)
	}
	for _, row := range hours.rows { // what is not kept per user
		row.TaskResults, row.FourGramSum, row.FourGramCount, row.Latency = nil, nil, nil, nil
	}
	return minutes.list(), hours.list()
}

func isSetTime(t time.Time) bool { return t.Unix() > 0 }

func (c *rateCounts) countOpportunity(o opportunityPart) {
	if !isSetTime(o.RequestedAt) {
		return
	}
	c.Opportunities++
	if isSetTime(o.NotProducedAt) {
		c.NotProduced++
	}
}

func (c *rateCounts) countInteraction(i interactionPart, minRead, minReject time.Duration) {
	outcome := flywheelv1.Outcome(i.OutcomeRank & 255)
	if outcome == flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED {
		c.AutoAccepted++
		return
	}
	switch flywheelv1.Thumb(i.ThumbRank & 255) {
	case flywheelv1.Thumb_THUMB_UP:
		c.ThumbsUp++
	case flywheelv1.Thumb_THUMB_DOWN:
		c.ThumbsDown++
	case flywheelv1.Thumb_THUMB_UNSPECIFIED:
	}
	if !isSetTime(i.ShownAt) {
		if isSetTime(i.NotShownAt) {
			c.NotShown++
		}
		return
	}
	c.Shown++
	c.ShownChars += uint64(i.OutputChars)
	visible := time.Duration(i.VisibleUs) * time.Microsecond
	if visible >= minRead {
		c.Read++
	}
	if i.ShownLatencyUs > 0 {
		if c.Latency == nil {
			c.Latency = map[uint16]uint64{}
		}
		c.Latency[uint16(math.Ceil(math.Log(float64(i.ShownLatencyUs))/math.Log(1.1)))]++
	}
	for result := range flywheelv1.TaskResult_name {
		if result > 0 && i.TaskResults&(1<<result) != 0 {
			addAt(&c.TaskResults, int(result)-1, 1)
		}
	}
	c.countOutcome(i, outcome, visible > 0 && visible < minReject)
}

func (c *rateCounts) countOutcome(i interactionPart, outcome flywheelv1.Outcome, tooFast bool) {
	switch outcome {
	case flywheelv1.Outcome_OUTCOME_UNSPECIFIED:
		c.Undecided++
	case flywheelv1.Outcome_OUTCOME_ACCEPTED:
		c.Accepted++
		if i.AcceptedChars == 0 {
			i.AcceptedChars = i.OutputChars
		}
		c.countAccepted(i)
	case flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED:
		c.PartiallyAccepted++
		c.countAccepted(i)
	case flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED:
		c.AcceptedModified++
		c.countAccepted(i)
	case flywheelv1.Outcome_OUTCOME_REJECTED:
		if tooFast {
			c.Ignored++
		} else {
			c.Rejected++
		}
	case flywheelv1.Outcome_OUTCOME_IGNORED:
		c.Ignored++
	case flywheelv1.Outcome_OUTCOME_SUPERSEDED:
		c.Superseded++
	case flywheelv1.Outcome_OUTCOME_CANCELLED:
		c.Cancelled++
	case flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED:
	}
}

func (c *rateCounts) countAccepted(i interactionPart) {
	c.AcceptedChars += uint64(i.AcceptedChars)
	chars := []uint32{i.RetainedChars0, i.RetainedChars5, i.RetainedChars30, i.RetainedChars120, i.RetainedChars300, i.RetainedChars600, i.RetainedChars900}
	grams := []uint16{i.FourGram0, i.FourGram5, i.FourGram30, i.FourGram120, i.FourGram300, i.FourGram600, i.FourGram900}
	for delay := range 7 {
		if i.BranchChanged&(1<<delay) != 0 {
			continue
		}
		if grams[delay] > 0 {
			addAt(&c.FourGramSum, delay, uint64(grams[delay]-1))
			addAt(&c.FourGramCount, delay, 1)
		}
		if chars[delay] > 0 && chars[0] > 0 && i.BranchChanged&1 == 0 {
			addAt(&c.RetentionCount, delay, 1)
			addAt(&c.RetainedChars, delay, uint64(chars[delay]-1))
			addAt(&c.BaseChars, delay, uint64(chars[0]-1))
		}
	}
}

func addAt(list *[]uint64, i int, n uint64) {
	for len(*list) <= i {
		*list = append(*list, 0)
	}
	(*list)[i] += n
}
