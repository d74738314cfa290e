package processor_test

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// requireRecount fails the test unless rates equal a recount.
func (s ratesStore) requireRecount(minRead, minReject time.Duration) {
	s.tb.Helper()
	want := s.recount(minRead, minReject)
	if diff := diffRates(want, s.settled()); diff != "" {
		s.tb.Fatalf("rates differ from the recount of %d rows (-recount +rates):\n%.4000s", len(want), diff)
	}
}

func diffRates(want, got []rateRow) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(rateRow{}), cmpopts.EquateEmpty(), cmpopts.SortSlices(func(a, b rateRow) bool {
		return rateKey(a) < rateKey(b)
	}))
}

func rateKey(r rateRow) string {
	return fmt.Sprintf("%q %d %q", r.Tenant, r.Bucket.Unix(), r.rateDimensions)
}

// recount counts everything again from the partial rows, in Go, one interaction
// at a time: slow, simple and independent of the settler's SQL.
func (s ratesStore) recount(minRead, minReject time.Duration) []rateRow {
	s.tb.Helper()
	all := map[string]*rateRow{}
	at := func(tenant string, start time.Time, d rateDimensions) *rateCounts {
		row := rateRow{Tenant: tenant, Bucket: start.Truncate(time.Minute), rateDimensions: d}
		if all[rateKey(row)] == nil {
			all[rateKey(row)] = &row
		}
		return &all[rateKey(row)].rateCounts
	}
	merged := map[uuid.UUID]*interactionPart{}
	for _, part := range selectRows[interactionPart](s, "interactions") {
		if merged[part.ID] == nil {
			merged[part.ID] = new(interactionPart)
		}
		mergeParts(merged[part.ID], part)
	}
	for _, row := range merged {
		at(row.Tenant, row.StartedAt, row.rateDimensions).countInteraction(*row, minRead, minReject)
	}
	opened := map[uuid.UUID]*opportunityPart{}
	for _, part := range selectRows[opportunityPart](s, "opportunities") {
		if opened[part.ID] == nil {
			opened[part.ID] = new(opportunityPart)
		}
		mergeParts(opened[part.ID], part)
	}
	for _, row := range opened {
		at(row.Tenant, row.StartedAt, row.rateDimensions).countOpportunity(*row)
	}
	var list []rateRow
	for _, row := range all {
		row.trim()
		if !cmp.Equal(row.rateCounts, rateCounts{}) {
			list = append(list, *row)
		}
	}
	return list
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
