package signal_test

import (
	"crypto/rand"
	"math"
	mathrand "math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

// newID returns a UUIDv7 of the current time.
func newID(tb testing.TB) []byte {
	tb.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		tb.Fatal(err)
	}
	return id[:]
}

func newEvent(tb testing.TB) *flywheelv1.Event {
	tb.Helper()
	return &flywheelv1.Event{EventId: newID(tb), SessionId: newID(tb), TimeUnixUs: zero.UnixMicro(), InteractionId: newID(tb)}
}

// TestLargestIsTheSameAsInClickHouse combines random ids, strings of any bytes and
// numbers, here and in ClickHouse.
func TestLargestIsTheSameAsInClickHouse(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	random := mathrand.New(mathrand.NewPCG(3, 4))
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(-1)), -1e30, -0.5}
	var combined signal.Batch
	parts := warehouse.NewInteractions()
	var ids [50][]byte
	for i := range ids {
		ids[i] = newID(t)
	}
	for i := range 1000 {
		e := newEvent(t)
		e.InteractionId, e.OpportunityId = ids[i%len(ids)], newID(t)
		detail := make([]byte, random.IntN(3))
		_, _ = rand.Read(detail)
		if i%2 == 0 {
			superseded := newID(t)
			_, _ = rand.Read(superseded[8:])
			superseded[8] = 0x80 | superseded[8]&0x3f
			e.Payload = &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
				Outcome: flywheelv1.Outcome(random.IntN(8) + 1), SupersededBy: superseded, Detail: string(detail),
			}}
		} else {
			e.Payload = &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
				LatencyUs: random.Int64N(9) - 4, MeanLogprob: &special[random.IntN(len(special))],
			}}
		}
		var part signal.Batch
		for _, b := range []*signal.Batch{&combined, &part} {
			if err := b.Add("t", e); err != nil {
				t.Fatal(err)
			}
		}
		parts.Append(part.Interactions)
	}
	if err := s.db.Insert(t.Context(), "interactions", parts); err != nil {
		t.Fatal(err)
	}
	merged := map[any]map[string]any{}
	for _, row := range s.read(t, "interactions", "t") {
		merged[row["interaction_id"]] = row
	}
	if len(combined.Interactions) != len(ids) || len(merged) != len(ids) {
		t.Fatalf("%d rows combined, %d merged, want %d", len(combined.Interactions), len(merged), len(ids))
	}
	for _, row := range combined.Interactions {
		got := merged[row.ID]
		want := map[string]any{
			"opportunity_id": row.OpportunityID, "session_id": row.SessionID, "superseded_by": row.SupersededBy,
			"outcome_detail": row.OutcomeDetail, "outcome_rank": row.OutcomeRank, "latency_us": row.LatencyUs,
			"mean_logprob": row.MeanLogprob,
		}
		for column := range got {
			if _, compared := want[column]; !compared {
				delete(got, column)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-combined +merged:\n%s", diff)
		}
		if sign := row.MeanLogprob; sign != nil && *sign == 0 && math.Signbit(float64(*sign)) {
			t.Fatal("a zero kept its sign: the result depends on the order")
		}
	}
}

func TestExtremes(t *testing.T) {
	t.Parallel()
	var b signal.Batch
	e := newEvent(t)
	add := func() {
		t.Helper()
		if err := b.Add("t", e); err != nil {
			t.Fatal(err)
		}
	}
	e.Payload = &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: -5}}
	add()
	e.Payload = &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{DelayS: 900, RetainedChars: math.MaxUint32, BranchChanged: true}}
	add()
	e.Payload = &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{Outcome: flywheelv1.Outcome_OUTCOME_REJECTED, VisibleUs: math.MinInt64}}
	add()
	row := b.Interactions[0]
	if row.VisibleUs != 0 || row.RetainedChars[6] != math.MaxUint32 || row.BranchChanged != 1<<6 {
		t.Errorf("row %+v", row)
	}
	for _, at := range []int64{0, -1, math.MaxInt64, 1 << 32 * 1_000_000} {
		e.TimeUnixUs = at
		if err := b.Add("t", e); err == nil {
			t.Errorf("time %d is taken", at)
		}
	}
	e.TimeUnixUs = 1<<32*1_000_000 - 1
	add()
	e.InteractionId = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x70, 0, 0x80, 15: 0}
	if err := b.Add("t", e); err == nil {
		t.Error("an id of the year 10889 is taken")
	}
	if len(b.Interactions) != 1 || b.Rows() != 1 {
		t.Errorf("%d rows, want 1", b.Rows())
	}
}

func TestTenantsDoNotMix(t *testing.T) {
	t.Parallel()
	var b signal.Batch
	e := newEvent(t)
	e.Content = &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING}
	e.Payload = &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: 5}}
	for range 2 {
		for _, tenant := range []string{"a", "b", "a", "a", "", "b"} {
			if err := b.Add(tenant, e); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.Interactions) != 3 || len(b.Content) != 3 {
			t.Errorf("%d interactions and %d texts of 3 tenants", len(b.Interactions), len(b.Content))
		}
		b.Reset()
		if b.Rows() != 0 {
			t.Errorf("%d rows after Reset", b.Rows())
		}
	}
}

// TestRefusedLeavesNoTrace checks that an event without a known payload changes
// nothing.
func TestRefusedLeavesNoTrace(t *testing.T) {
	t.Parallel()
	var b signal.Batch
	for _, e := range []*flywheelv1.Event{{}, newEvent(t), {EventId: newID(t), TimeUnixUs: 1}} {
		if err := b.Add("t", e); err == nil {
			t.Errorf("%v is taken", e)
		}
	}
	if b.Rows() != 0 || len(b.Steps) != 0 {
		t.Errorf("%d rows", b.Rows())
	}
}
