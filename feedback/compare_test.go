package feedback_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// userRow is what a test says of a user in an hour.
type userRow struct {
	user, variant, experiment string
	hour                      int
	shown, accepted           uint64
}

func (s *service) insertUsers(t *testing.T, tenant string, rows ...userRow) {
	t.Helper()
	for _, row := range rows {
		err := s.db.Conn().Exec(t.Context(), `
			INSERT INTO user_rate_hours (tenant, bucket, experiment, variant, user, version, settled_at,
				opportunities, shown, accepted, rejected, accepted_chars, retention_count, retained_chars, base_chars)
			VALUES (?, ?, ?, ?, ?, 1, now64(3), ?, ?, ?, 1, ?, ?, ?, ?)`,
			tenant, start.Truncate(time.Hour).Add(time.Duration(row.hour)*time.Hour), row.experiment, row.variant, row.user,
			2*row.shown, row.shown, row.accepted, 10*row.accepted, []uint64{1, 1, 1}, []uint64{10, 10, 8}, []uint64{10, 10, 10})
		if err != nil {
			t.Fatalf("insert users: %v", err)
		}
	}
}

// arms are the users of TestDifferenceByHand in package stats: of the baseline (accepted
// of shown) 1/2, 3/4, 2/4, of the candidate 2/2, 3/5, 4/5. One has two hours.
func arms() []userRow {
	return []userRow{
		{"a", "old", "e", 0, 2, 1},
		{"b", "old", "e", 0, 4, 3},
		{"c", "old", "e", 0, 1, 0},
		{"c", "old", "e", 1, 3, 2},
		{"x", "new", "e", 0, 2, 2},
		{"y", "new", "e", 1, 5, 3},
		{"z", "new", "e", 1, 5, 4},
	}
}

func (s *service) compare(t *testing.T, req *flywheelv1.CompareVariantsRequest) *flywheelv1.CompareVariantsResponse {
	t.Helper()
	req.Baseline, req.Candidate = "old", "new"
	resp, err := s.CompareVariants(t.Context(), req)
	if err != nil {
		t.Fatalf("CompareVariants: %v", err)
	}
	return resp
}

func TestCompareByHand(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insertUsers(t, "default", arms()...)
	s.insertUsers(t, "default",
		userRow{"both", "old", "e", 0, 90, 90}, userRow{"both", "new", "e", 1, 90, 0},
		userRow{"", "new", "e", 0, 90, 90},
		userRow{"q", "third", "e", 0, 90, 90},
		userRow{"r", "new", "other", 0, 90, 90},
		userRow{"s", "new", "e", 2, 90, 90})
	s.insertUsers(t, "stranger", userRow{"v", "new", "e", 0, 90, 90})
	resp := s.compare(t, &flywheelv1.CompareVariantsRequest{
		Experiment: new("e"), From: timestamppb.New(start), To: timestamppb.New(start.Add(time.Hour)),
	})
	if resp.GetBaselineUsers() != 3 || resp.GetCandidateUsers() != 3 || resp.GetUsersInBoth() != 1 {
		t.Errorf("%d and %d users, %d in both; want 3, 3 and 1", resp.GetBaselineUsers(), resp.GetCandidateUsers(), resp.GetUsersInBoth())
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if got, want := len(resp.GetMetrics()), len(flywheelv1.Metric_name)-1; got != want {
		t.Fatalf("%d metrics, want %d", got, want)
	}
	for i, m := range resp.GetMetrics() {
		if int(m.GetMetric()) != i+1 {
			t.Errorf("metric %d is %s", i, m.GetMetric())
		}
	}
	acceptance := resp.GetMetrics()[0]
	if b, c := acceptance.GetBaseline(), acceptance.GetCandidate(); b.GetNumerator() != 6 || b.GetDenominator() != 10 || c.GetNumerator() != 9 || c.GetDenominator() != 12 {
		t.Errorf("acceptance %v and %v, want 6/10 and 9/12", b, c)
	}
	near("difference", acceptance.GetDifference(), 0.15)
	near("low", acceptance.GetLow(), -0.109387)
	near("high", acceptance.GetHigh(), 0.409387)
	if acceptance.GetVerdict() != flywheelv1.Verdict_VERDICT_NO_DIFFERENCE_SHOWN {
		t.Errorf("verdict %s", acceptance.GetVerdict())
	}
	near("rejections per shown of the baseline", resp.GetMetrics()[1].GetBaseline().GetValue(), 0.4)
	near("characters per shown", resp.GetMetrics()[3].GetDifference(), 1.5)
	near("characters per opportunity", resp.GetMetrics()[4].GetDifference(), 0.75)
	near("retained after 30 s", resp.GetMetrics()[5].GetCandidate().GetValue(), 0.8)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insertUsers(t, "default",
		userRow{"a", "old", "e", 0, 100, 20}, userRow{"b", "old", "e", 0, 100, 21},
		userRow{"x", "new", "e", 0, 10, 8}, userRow{"y", "new", "e", 0, 10, 8})
	resp := s.compare(t, &flywheelv1.CompareVariantsRequest{})
	for i, want := range map[int]flywheelv1.Verdict{
		0: flywheelv1.Verdict_VERDICT_BETTER,              // more accepted
		1: flywheelv1.Verdict_VERDICT_WORSE,               // more of them rejected
		2: flywheelv1.Verdict_VERDICT_NO_DIFFERENCE_SHOWN, // none ignored
	} {
		if m := resp.GetMetrics()[i]; m.GetVerdict() != want {
			t.Errorf("%s: %s, want %s", m.GetMetric(), m.GetVerdict(), want)
		}
	}
}

func TestCompareWithoutUsers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insertUsers(t, "default", arms()[0])
	resp := s.compare(t, &flywheelv1.CompareVariantsRequest{})
	if m := resp.GetMetrics()[0]; m.Low != nil || m.High != nil || m.GetVerdict() != flywheelv1.Verdict_VERDICT_NO_DIFFERENCE_SHOWN {
		t.Errorf("one user and none: %v", m)
	}
	_, err := s.CompareVariants(t.Context(), &flywheelv1.CompareVariantsRequest{Baseline: "old", Candidate: "old"})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a variant with itself: %v", err)
	}
}
