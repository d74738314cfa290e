package processor_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor"
)

// start is in the middle of a minute.
var start = time.Date(2026, 11, 20, 10, 30, 20, 0, time.UTC)

// rank packs a value with its class and time as the tables do.
func rank[T ~int32](class uint64, at time.Time, value T) uint64 {
	return class<<62 | uint64(at.UnixMicro())<<8 | uint64(value)
}

func outcome(o flywheelv1.Outcome) uint64 {
	classes := map[flywheelv1.Outcome]uint64{
		flywheelv1.Outcome_OUTCOME_ACCEPTED:           3,
		flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED: 3,
		flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED:  3,
		flywheelv1.Outcome_OUTCOME_REJECTED:           2,
		flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED:      1,
	}
	return rank(classes[o], start.Add(time.Second), o)
}

// countingCase is an interaction and what it counts as.
type countingCase struct {
	part interactionPart
	want rateCounts
}

// accepted is the outcome of an acceptance.
var accepted = outcome(flywheelv1.Outcome_OUTCOME_ACCEPTED)

// funnelCases are about what was shown, read and judged.
func funnelCases() map[string]countingCase {
	return map[string]countingCase{
		"generated only":   {interactionPart{OutputChars: 10}, rateCounts{}},
		"shown, undecided": {interactionPart{ShownAt: start, OutputChars: 10}, rateCounts{Shown: 1, Undecided: 1, ShownChars: 10}},
		"withheld":         {interactionPart{NotShownAt: start, OutputChars: 10}, rateCounts{NotShown: 1}},
		"shown after all": {
			interactionPart{ShownAt: start, NotShownAt: start},
			rateCounts{Shown: 1, Undecided: 1},
		},
		"outcome before it is shown": {interactionPart{OutcomeRank: accepted, OutputChars: 10, TaskResults: 2, ShownLatencyUs: 9}, rateCounts{}},
		"auto accepted counts alone": {
			interactionPart{
				ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED),
				ThumbRank: rank(0, start, flywheelv1.Thumb_THUMB_UP), OutputChars: 10, VisibleUs: 5_000_000, TaskResults: 2,
			},
			rateCounts{AutoAccepted: 1},
		},
		"auto accepted, not shown": {
			interactionPart{NotShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED)},
			rateCounts{AutoAccepted: 1},
		},
		"just read": {interactionPart{ShownAt: start, VisibleUs: 750_000}, rateCounts{Shown: 1, Read: 1, Undecided: 1}},
		"just not":  {interactionPart{ShownAt: start, VisibleUs: 749_999}, rateCounts{Shown: 1, Undecided: 1}},
		"thumb up": {
			interactionPart{ShownAt: start, ThumbRank: rank(0, start, flywheelv1.Thumb_THUMB_UP)},
			rateCounts{Shown: 1, Undecided: 1, ThumbsUp: 1},
		},
		"thumb down": {
			interactionPart{ShownAt: start, ThumbRank: rank(0, start, flywheelv1.Thumb_THUMB_DOWN)},
			rateCounts{Shown: 1, Undecided: 1, ThumbsDown: 1},
		},
		"thumb of what was never shown": {
			interactionPart{ThumbRank: rank(0, start, flywheelv1.Thumb_THUMB_DOWN)},
			rateCounts{ThumbsDown: 1},
		},
		"task results": {
			interactionPart{ShownAt: start, TaskResults: 1<<flywheelv1.TaskResult_TASK_RESULT_TESTS_PASSED | 1<<flywheelv1.TaskResult_TASK_RESULT_COMMITTED},
			rateCounts{Shown: 1, Undecided: 1, TaskResults: []uint64{1, 0, 0, 0, 1}},
		},
		"latency of 1000 µs": {
			interactionPart{ShownAt: start, ShownLatencyUs: 1000},
			rateCounts{Shown: 1, Undecided: 1, Latency: map[uint16]uint64{73: 1}},
		},
		"latency of 1 µs": {
			interactionPart{ShownAt: start, ShownLatencyUs: 1},
			rateCounts{Shown: 1, Undecided: 1, Latency: map[uint16]uint64{0: 1}},
		},
	}
}

// outcomeCases are about terminal outcomes.
func outcomeCases() map[string]countingCase {
	return map[string]countingCase{
		"accepted in full": {
			interactionPart{ShownAt: start, OutcomeRank: accepted, OutputChars: 10},
			rateCounts{Shown: 1, Accepted: 1, ShownChars: 10, AcceptedChars: 10},
		},
		"accepted with a measured length": {
			interactionPart{ShownAt: start, OutcomeRank: accepted, OutputChars: 10, AcceptedChars: 9},
			rateCounts{Shown: 1, Accepted: 1, ShownChars: 10, AcceptedChars: 9},
		},
		"partially accepted": {
			interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED), OutputChars: 10, AcceptedChars: 4},
			rateCounts{Shown: 1, PartiallyAccepted: 1, ShownChars: 10, AcceptedChars: 4},
		},
		"accepted modified": {
			interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED), OutputChars: 10},
			rateCounts{Shown: 1, AcceptedModified: 1, ShownChars: 10},
		},
		"rejected": {
			interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_REJECTED), VisibleUs: 1_000_000, AcceptedChars: 4},
			rateCounts{Shown: 1, Read: 1, Rejected: 1},
		},
		"rejected before it could be judged": {
			interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_REJECTED), VisibleUs: 199_999},
			rateCounts{Shown: 1, Ignored: 1},
		},
		"rejected, visible time not measured": {
			interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_REJECTED)},
			rateCounts{Shown: 1, Rejected: 1},
		},
		"ignored":    {interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_IGNORED)}, rateCounts{Shown: 1, Ignored: 1}},
		"superseded": {interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_SUPERSEDED)}, rateCounts{Shown: 1, Superseded: 1}},
		"cancelled":  {interactionPart{ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_CANCELLED)}, rateCounts{Shown: 1, Cancelled: 1}},
	}
}

// retentionCases are about what was left of accepted output.
func retentionCases() map[string]countingCase {
	return map[string]countingCase{
		"retention": {
			interactionPart{
				ShownAt: start, OutcomeRank: accepted, OutputChars: 10,
				RetainedChars0: 11, RetainedChars5: 10, RetainedChars600: 1,
				FourGram0: 10_001, FourGram5: 5_001, FourGram600: 1,
			},
			rateCounts{
				Shown: 1, Accepted: 1, ShownChars: 10, AcceptedChars: 10,
				RetentionCount: []uint64{1, 1, 0, 0, 0, 1}, RetainedChars: []uint64{10, 9}, BaseChars: []uint64{10, 10, 0, 0, 0, 10},
				FourGramCount: []uint64{1, 1, 0, 0, 0, 1}, FourGramSum: []uint64{10_000, 5_000},
			},
		},
		"retention after a change of branch": {
			interactionPart{
				ShownAt: start, OutcomeRank: accepted,
				RetainedChars0: 11, RetainedChars5: 10, RetainedChars30: 9,
				FourGram5: 5_001, FourGram30: 4_001, BranchChanged: 1 << 2,
			},
			rateCounts{
				Shown: 1, Accepted: 1,
				RetentionCount: []uint64{1, 1}, RetainedChars: []uint64{10, 9}, BaseChars: []uint64{10, 10},
				FourGramCount: []uint64{0, 1}, FourGramSum: []uint64{0, 5_000},
			},
		},
		"retention with nothing to compare with": {
			interactionPart{ShownAt: start, OutcomeRank: accepted, RetainedChars5: 10, FourGram5: 5_001},
			rateCounts{Shown: 1, Accepted: 1, FourGramCount: []uint64{0, 1}, FourGramSum: []uint64{0, 5_000}},
		},
		"retention of a rejected one": {
			interactionPart{
				ShownAt: start, OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_REJECTED),
				RetainedChars0: 11, RetainedChars5: 10, FourGram5: 5_001,
			},
			rateCounts{Shown: 1, Rejected: 1},
		},
	}
}

// TestWhatCounts says, case by case, what one interaction counts as. The settler
// and the recount that other tests compare it with must both agree.
func TestWhatCounts(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	var parts []interactionPart
	want := map[string][]rateRow{}
	for _, cases := range []map[string]countingCase{funnelCases(), outcomeCases(), retentionCases()} {
		for name, c := range cases {
			// Every case is a tenant: they are settled by one statement.
			c.part.Tenant, c.part.StartedAt, c.part.ID, c.part.Model = name, start, uuid.New(), "tab-7b"
			parts = append(parts, c.part)
			want[name] = nil
			if !cmp.Equal(c.want, rateCounts{}) {
				want[name] = []rateRow{{Tenant: name, Bucket: start.Truncate(time.Minute), rateDimensions: rateDimensions{Model: "tab-7b"}, rateCounts: c.want}}
			}
		}
	}
	s.insert(parts, nil)
	settleOnce(t.Context(), t, s.settler(func(cfg *processor.SettlerConfig) { cfg.MinReject = 200 * time.Millisecond }))
	s.requireRecount(750*time.Millisecond, 200*time.Millisecond)
	got := map[string][]rateRow{}
	for _, row := range s.settled() {
		got[row.Tenant] = append(got[row.Tenant], row)
	}
	for name := range want {
		if diff := diffRates(want[name], got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatOpportunitiesCount(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	in := rateDimensions{Surface: "inline_completion", Trigger: "typing"}
	s.insert(nil, []opportunityPart{
		{Tenant: "acme", StartedAt: start, ID: uuid.New(), rateDimensions: in, RequestedAt: start},
		{Tenant: "acme", StartedAt: start, ID: uuid.New(), rateDimensions: in, RequestedAt: start, NotProducedAt: start},
		{Tenant: "acme", StartedAt: start, ID: uuid.New(), rateDimensions: in, NotProducedAt: start},
	})
	settleOnce(t.Context(), t, s.settler())
	want := []rateRow{{Tenant: "acme", Bucket: start.Truncate(time.Minute), rateDimensions: in, rateCounts: rateCounts{Opportunities: 2, NotProduced: 1}}}
	if diff := diffRates(want, s.settled()); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
}

// TestLateOutcomeImprovesItsMinute sends an acceptance long after the shown event:
// it counts where the interaction started.
func TestLateOutcomeImprovesItsMinute(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settler := s.settler()
	id := uuid.New()
	in := rateDimensions{Model: "tab-7b"}
	s.insert([]interactionPart{
		{Tenant: "acme", StartedAt: start, ID: id, rateDimensions: in, ShownAt: start, OutputChars: 5},
		{Tenant: "acme", StartedAt: start.Add(time.Hour), ID: uuid.New(), rateDimensions: in, ShownAt: start.Add(time.Hour)},
	}, nil)
	if got := settleOnce(t.Context(), t, settler); got != 2 {
		t.Errorf("settled %d minutes, want 2", got)
	}
	late := start.Add(3 * 24 * time.Hour)
	s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: id, OutcomeRank: rank(3, late, flywheelv1.Outcome_OUTCOME_ACCEPTED)}}, nil)
	if got := settleOnce(t.Context(), t, settler); got != 1 {
		t.Errorf("settled %d minutes, want only the one that changed", got)
	}
	want := []rateRow{
		{Tenant: "acme", Bucket: start.Truncate(time.Minute), rateDimensions: in, rateCounts: rateCounts{Shown: 1, Accepted: 1, ShownChars: 5, AcceptedChars: 5}},
		{Tenant: "acme", Bucket: start.Add(time.Hour).Truncate(time.Minute), rateDimensions: in, rateCounts: rateCounts{Shown: 1, Undecided: 1}},
	}
	if diff := diffRates(want, s.settled()); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
	if got := settleOnce(t.Context(), t, settler); got != 0 {
		t.Errorf("settled %d minutes although nothing changed", got)
	}
}

// TestVanishedCombinationIsZeroed sends the dimensions after a thumb: what counted
// without dimensions moves to them and leaves nothing behind.
func TestVanishedCombinationIsZeroed(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settler := s.settler()
	id := uuid.New()
	s.insert([]interactionPart{{
		Tenant: "acme", StartedAt: start, ID: id,
		OutcomeRank: outcome(flywheelv1.Outcome_OUTCOME_ACCEPTED), ThumbRank: rank(0, start, flywheelv1.Thumb_THUMB_UP),
	}}, nil)
	settleOnce(t.Context(), t, settler)
	if got := s.settled(); len(got) != 1 || got[0].ThumbsUp != 1 || got[0].Model != "" {
		t.Fatalf("rates before the shown event: %+v", got)
	}
	in := rateDimensions{Model: "tab-7b", Language: "go"}
	s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: id, rateDimensions: in, ShownAt: start}}, nil)
	settleOnce(t.Context(), t, settler)
	want := []rateRow{{Tenant: "acme", Bucket: start.Truncate(time.Minute), rateDimensions: in, rateCounts: rateCounts{Shown: 1, Accepted: 1, ThumbsUp: 1}}}
	if diff := diffRates(want, s.settled()); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
	if got := selectRows[rateRow](s, "rates FINAL"); len(got) != 2 {
		t.Errorf("%d rows, want the combination and the zeroes of the one that vanished", len(got))
	}
}
