package verify

import (
	"errors"
	"fmt"
	"math"
	"strings"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// The columns of counts, in the order in which the statements select them. Those of
// lists are followed by one column per further element.
const (
	opportunities = iota
	notProduced
	shown
	notShown
	read
	accepted
	partiallyAccepted
	acceptedModified
	autoAccepted
	rejected
	ignored
	superseded
	cancelled
	undecided
	thumbsUp
	thumbsDown
	shownChars
	acceptedChars
	scalars
)

const (
	delays  = 7
	results = 9

	retentionCount = scalars
	retainedChars  = retentionCount + delays
	baseChars      = retainedChars + delays
	// userColumns are the columns that rates of users have.
	userColumns   = baseChars + delays
	taskResults   = userColumns
	fourGramSum   = taskResults + results
	fourGramCount = fourGramSum + delays
	columns       = fourGramCount + delays

	// maxLatency is above the bucket of the longest latency, log(2^64) ÷ log(1.1).
	maxLatency = 1 << 9
)

// list is a column that is an array.
type list struct {
	name         string
	first, count int
}

var (
	scalarNames = [scalars]string{
		"opportunities", "not_produced", "shown", "not_shown", "read", "accepted",
		"partially_accepted", "accepted_modified", "auto_accepted", "rejected", "ignored", "superseded",
		"cancelled", "undecided", "thumbs_up", "thumbs_down", "shown_chars", "accepted_chars",
	}
	lists = []list{
		{"retention_count", retentionCount, delays},
		{"retained_chars", retainedChars, delays},
		{"base_chars", baseChars, delays},
		{"task_results", taskResults, results},
		{"four_gram_sum", fourGramSum, delays},
		{"four_gram_count", fourGramCount, delays},
	}
)

// columnName is the name of a column of counts.
func columnName(i int) string {
	for _, l := range lists {
		if i >= l.first && i < l.first+l.count {
			return fmt.Sprintf("%s[%d]", l.name, i-l.first+1)
		}
	}
	return scalarNames[i]
}

// counts are what a row of rates counts.
type counts struct {
	n       [columns]uint64
	latency map[uint16]uint64
}

// zero reports whether nothing is counted, which is as good as no row.
func (c *counts) zero() bool { return c == nil || c.n == [columns]uint64{} && len(c.latency) == 0 }

// String lists the scalars that are not zero.
func (c *counts) String() string {
	if c.zero() {
		return "none"
	}
	var parts []string
	for i, name := range scalarNames {
		if c.n[i] > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", name, c.n[i]))
		}
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func (c *counts) add(other *counts) {
	for i, n := range other.n {
		c.n[i] += n
	}
	for bucket, n := range other.latency {
		c.addLatency(bucket, n)
	}
}

func (c *counts) addLatency(bucket uint16, n uint64) {
	if c.latency == nil {
		c.latency = map[uint16]uint64{}
	}
	c.latency[bucket] += n
}

// read reads the counts of a stored row; users have fewer columns.
func (c *counts) read(r *row, user bool) error {
	for i := range scalars {
		c.n[i] = r.u64()
	}
	for _, l := range lists {
		if user && l.first >= userColumns {
			return r.end()
		}
		for i := range r.size() {
			n := r.u64()
			if i >= l.count {
				return fmt.Errorf("%s has more than %d elements", l.name, l.count)
			}
			c.n[l.first+i] = n
		}
	}
	for range r.size() {
		if bucket, n := r.u16(), r.u64(); n > 0 {
			c.addLatency(bucket, n)
		}
	}
	return r.end()
}

// countOpportunity counts one that was requested.
func (c *counts) countOpportunity(produced bool) {
	c.n[opportunities]++
	if !produced {
		c.n[notProduced]++
	}
}

// limits are the visible times that count, in microseconds.
type limits struct{ minRead, minReject uint64 }

// countInteraction counts a merged interaction. docs/signals.md and processor/settle
// say the same in words and in SQL.
func (c *counts) countInteraction(i *interaction, l limits) {
	outcome := flywheelv1.Outcome(i.OutcomeRank & 0xff)
	if outcome == flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED {
		c.n[autoAccepted]++
		return
	}
	switch flywheelv1.Thumb(i.ThumbRank & 0xff) {
	case flywheelv1.Thumb_THUMB_UP:
		c.n[thumbsUp]++
	case flywheelv1.Thumb_THUMB_DOWN:
		c.n[thumbsDown]++
	default:
	}
	if i.ShownAt <= 0 {
		if i.NotShownAt > 0 {
			c.n[notShown]++
		}
		return
	}
	c.n[shown]++
	c.n[shownChars] += uint64(i.OutputChars)
	if i.VisibleUs >= l.minRead {
		c.n[read]++
	}
	if i.ShownLatencyUs > 0 {
		c.addLatency(uint16(math.Ceil(math.Log(float64(i.ShownLatencyUs))/math.Log(1.1))), 1)
	}
	for result := range results {
		c.n[taskResults+result] += uint64(i.TaskResults >> (result + 1) & 1)
	}
	if outcome == flywheelv1.Outcome_OUTCOME_REJECTED && i.VisibleUs > 0 && i.VisibleUs < l.minReject {
		outcome = flywheelv1.Outcome_OUTCOME_IGNORED
	}
	c.countOutcome(i, outcome)
}

func (c *counts) countOutcome(i *interaction, outcome flywheelv1.Outcome) {
	switch outcome {
	case flywheelv1.Outcome_OUTCOME_UNSPECIFIED:
		c.n[undecided]++
	case flywheelv1.Outcome_OUTCOME_ACCEPTED:
		c.n[accepted]++
		c.countAccepted(i, i.AcceptedChars == 0)
	case flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED:
		c.n[partiallyAccepted]++
		c.countAccepted(i, false)
	case flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED:
		c.n[acceptedModified]++
		c.countAccepted(i, false)
	case flywheelv1.Outcome_OUTCOME_REJECTED:
		c.n[rejected]++
	case flywheelv1.Outcome_OUTCOME_IGNORED:
		c.n[ignored]++
	case flywheelv1.Outcome_OUTCOME_SUPERSEDED:
		c.n[superseded]++
	case flywheelv1.Outcome_OUTCOME_CANCELLED:
		c.n[cancelled]++
	default:
	}
}

// countAccepted counts what was accepted and what was left of it; whole: all of the
// output was accepted.
func (c *counts) countAccepted(i *interaction, whole bool) {
	c.n[acceptedChars] += uint64(i.AcceptedChars)
	if whole {
		c.n[acceptedChars] += uint64(i.OutputChars)
	}
	base := i.RetainedChars[0]
	measured := base > 0 && i.BranchChanged&1 == 0
	for delay := range delays {
		if i.BranchChanged>>delay&1 == 1 {
			continue
		}
		if gram := i.FourGram[delay]; gram > 0 {
			c.n[fourGramSum+delay] += uint64(gram - 1)
			c.n[fourGramCount+delay]++
		}
		if chars := i.RetainedChars[delay]; chars > 0 && measured {
			c.n[retentionCount+delay]++
			c.n[retainedChars+delay] += uint64(chars - 1)
			c.n[baseChars+delay] += uint64(base - 1)
		}
	}
}

var errOrder = errors.New("rows do not come in the order of the table")
