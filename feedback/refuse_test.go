package feedback_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yirifi/flywheel/feedback"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// violated lists the fields that an error's details name.
func violated(err error) string {
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
	}
	return strings.Join(fields, " ")
}

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	s := serve(t)
	minute := durationpb.New(time.Minute)
	now := timestamppb.New(start)
	for name, c := range map[string]struct {
		req  *flywheelv1.GetRatesOverTimeRequest
		want string
	}{
		"unknown dimension":      {&flywheelv1.GetRatesOverTimeRequest{GroupBy: []flywheelv1.Dimension{1, 99}, BucketWidth: minute}, "group_by[1]"},
		"unspecified dimension":  {&flywheelv1.GetRatesOverTimeRequest{GroupBy: []flywheelv1.Dimension{0}, BucketWidth: minute}, "group_by[0]"},
		"dimension twice":        {&flywheelv1.GetRatesOverTimeRequest{GroupBy: by("model", "language", "model"), BucketWidth: minute}, "group_by[2]"},
		"empty range":            {&flywheelv1.GetRatesOverTimeRequest{From: now, To: now, BucketWidth: minute}, "to"},
		"reversed range":         {&flywheelv1.GetRatesOverTimeRequest{From: now, To: timestamppb.New(start.Add(-1)), BucketWidth: minute}, "to"},
		"invalid time":           {&flywheelv1.GetRatesOverTimeRequest{From: &timestamppb.Timestamp{Nanos: -1}, BucketWidth: minute}, "from"},
		"filter without values":  {&flywheelv1.GetRatesOverTimeRequest{Filters: []*flywheelv1.Filter{only("model", "a"), only("model")}, BucketWidth: minute}, "filters[1].values"},
		"filter of no dimension": {&flywheelv1.GetRatesOverTimeRequest{Filters: []*flywheelv1.Filter{{Values: []string{"a"}}}, BucketWidth: minute}, "filters[0].dimension"},
		"too many values": {
			&flywheelv1.GetRatesOverTimeRequest{Filters: []*flywheelv1.Filter{only("model", make([]string, 1_001)...)}, BucketWidth: minute},
			"filters[0].values",
		},
		"too many filters":   {&flywheelv1.GetRatesOverTimeRequest{Filters: make([]*flywheelv1.Filter, 33), BucketWidth: minute}, "filters"},
		"no width":           {&flywheelv1.GetRatesOverTimeRequest{}, "bucket_width"},
		"zero width":         {&flywheelv1.GetRatesOverTimeRequest{BucketWidth: durationpb.New(0)}, "bucket_width"},
		"negative width":     {&flywheelv1.GetRatesOverTimeRequest{BucketWidth: durationpb.New(-time.Minute)}, "bucket_width"},
		"not whole minutes":  {&flywheelv1.GetRatesOverTimeRequest{BucketWidth: durationpb.New(90 * time.Second)}, "bucket_width"},
		"endless width":      {&flywheelv1.GetRatesOverTimeRequest{BucketWidth: &durationpb.Duration{Seconds: 315_576_000_000}}, "bucket_width"},
		"too many buckets":   {&flywheelv1.GetRatesOverTimeRequest{From: now, To: timestamppb.New(start.Add(10_001 * time.Minute)), BucketWidth: minute}, "bucket_width"},
		"everything at once": {&flywheelv1.GetRatesOverTimeRequest{From: now, To: now, GroupBy: []flywheelv1.Dimension{77}}, "to group_by[0] bucket_width"},
	} {
		_, err := s.GetRatesOverTime(t.Context(), c.req)
		if status.Code(err) != codes.InvalidArgument || violated(err) != c.want {
			t.Errorf("%s: %v with violations %q, want %q", name, err, violated(err), c.want)
		}
		_, err = s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{From: c.req.GetFrom(), To: c.req.GetTo(), GroupBy: c.req.GetGroupBy(), Filters: c.req.GetFilters()})
		if want := strings.TrimSpace(strings.ReplaceAll(c.want, "bucket_width", "")); violated(err) != want {
			t.Errorf("%s without buckets: %v with violations %q, want %q", name, err, violated(err), want)
		}
	}
	if _, err := s.GetRates(as(t.Context(), "not a tenant"), &flywheelv1.GetRatesRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("invalid tenant: %v, want INVALID_ARGUMENT", err)
	}
	limit := &flywheelv1.GetRatesOverTimeRequest{From: now, To: timestamppb.New(start.Add(10_000 * time.Minute)), BucketWidth: minute}
	if _, err := s.GetRatesOverTime(t.Context(), limit); err != nil {
		t.Errorf("10,000 buckets: %v", err)
	}
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	s := serve(t, func(cfg *feedback.Config) { cfg.MaxRows = 3 })
	for i := range 3 {
		s.insert(t, rateRow{Model: fmt.Sprint(i), Shown: 1})
	}
	if got := len(s.rates(t, &flywheelv1.GetRatesRequest{GroupBy: by("model")})); got != 3 {
		t.Errorf("%d rows, want 3", got)
	}
	s.insert(t, rateRow{Model: "one more", Shown: 1})
	if _, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{GroupBy: by("model")}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("4 rows: %v, want RESOURCE_EXHAUSTED", err)
	}
}

// TestStoreFails checks that clients learn that, and operators why.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	s := serve(t)
	if err := s.db.Conn().Exec(t.Context(), "DROP TABLE rate_days"); err != nil {
		t.Fatal(err)
	}
	_, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{})
	if status.Code(err) != codes.Unavailable || strings.Contains(err.Error(), "rate_days FINAL") || strings.Contains(err.Error(), "UNKNOWN_TABLE") {
		t.Errorf("GetRates = %v; want UNAVAILABLE without details", err)
	}
	if !strings.Contains(s.log.String(), "cannot read rates") || !strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

func TestSlowQuery(t *testing.T) {
	t.Parallel()
	s := serve(t, func(cfg *feedback.Config) { cfg.QueryTimeout = time.Nanosecond })
	if _, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("GetRates = %v, want DEADLINE_EXCEEDED", err)
	}
	if got := s.log.String(); got != "" {
		t.Errorf("a time limit is logged as an error: %s", got)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*feedback.Config){
		"timeout": func(c *feedback.Config) { c.QueryTimeout = 0 },
		"rows":    func(c *feedback.Config) { c.MaxRows = 0 },
		"buckets": func(c *feedback.Config) { c.MaxBuckets = -1 },
		"grace":   func(c *feedback.Config) { c.Grace = -1 },
	} {
		cfg := feedback.DefaultConfig()
		spoil(&cfg)
		if _, err := feedback.New(cfg, nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
