package feedback_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yirifi/flywheel/feedback/stats"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }

// by is a group_by.
func by(names ...string) []flywheelv1.Dimension {
	var list []flywheelv1.Dimension
	for _, name := range names {
		list = append(list, flywheelv1.Dimension(flywheelv1.Dimension_value["DIMENSION_"+strings.ToUpper(name)]))
	}
	return list
}

func only(name string, values ...string) *flywheelv1.Filter {
	return &flywheelv1.Filter{Dimension: by(name)[0], Values: values}
}

// TestRow checks every number of a row that sums two minutes.
func TestRow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insert(t,
		rateRow{
			Model: "tab-7b", Opportunities: 40, NotProduced: 5, Shown: 20, NotShown: 3, Read: 12,
			Accepted: 6, PartiallyAccepted: 2, AcceptedModified: 1, AutoAccepted: 7, Rejected: 4, Ignored: 3,
			Superseded: 2, Cancelled: 1, Undecided: 1, ThumbsUp: 3, ThumbsDown: 1, ShownChars: 900, AcceptedChars: 300,
			TaskResults:    []uint64{2, 0, 0, 0, 0, 0, 0, 0, 1},
			RetentionCount: []uint64{4, 3, 0, 0, 0, 0, 1}, RetainedChars: []uint64{100, 60, 0, 0, 0, 0, 5}, BaseChars: []uint64{100, 80, 0, 0, 0, 0, 20},
			FourGramSum: []uint64{20_000, 5_000, 0, 0, 0, 0, 0}, FourGramCount: []uint64{2, 1, 0, 0, 0, 0, 0},
			Latency: map[uint16]uint64{100: 10, 120: 5},
		},
		rateRow{
			Model: "tab-7b", Bucket: start.Add(time.Minute), Opportunities: 10, Shown: 5, Accepted: 1, Undecided: 4,
			TaskResults: []uint64{1}, RetentionCount: []uint64{1, 1}, RetainedChars: []uint64{10, 10}, BaseChars: []uint64{10, 10},
			Latency: map[uint16]uint64{100: 1},
		},
	)
	resp, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{GroupBy: by("model")})
	if err != nil {
		t.Fatalf("GetRates: %v", err)
	}
	rate := func(n, d uint64) *flywheelv1.Rate {
		low, high := stats.Wilson(n, d)
		return &flywheelv1.Rate{Numerator: n, Denominator: d, Value: float64(n) / float64(d), Low: low, High: high}
	}
	middle := func(bucket float64) float64 { return math.Pow(1.1, bucket-0.5) }
	want := &flywheelv1.GetRatesResponse{
		SettledAt: timestamppb.New(start.Add(61 * time.Second)),
		Rows: []*flywheelv1.RatesRow{{
			Group: []string{"tab-7b"},
			Counts: &flywheelv1.Counts{
				Opportunities: 50, NotProduced: 5, Shown: 25, NotShown: 3, Read: 12,
				Accepted: 7, PartiallyAccepted: 2, AcceptedModified: 1, AutoAccepted: 7, Rejected: 4, Ignored: 3,
				Superseded: 2, Cancelled: 1, Undecided: 5, ThumbsUp: 3, ThumbsDown: 1, ShownChars: 900, AcceptedChars: 300,
				TaskResults: []*flywheelv1.TaskResultCount{
					{Result: flywheelv1.TaskResult_TASK_RESULT_TESTS_PASSED, Count: 3},
					{Result: flywheelv1.TaskResult_TASK_RESULT_NOT_SOLVED, Count: 1},
				},
			},
			ShownRate: rate(25, 50), AcceptanceRate: rate(10, 25), FullAcceptanceRate: rate(7, 25),
			PartialAcceptanceRate: rate(2, 25), ModifiedAcceptanceRate: rate(1, 25), HideRate: rate(4, 25),
			IgnoredRate: rate(3, 25), SupersededRate: rate(2, 25), ReadRate: rate(12, 25), ThumbsUpRate: rate(3, 4),
			Retention: []*flywheelv1.RetentionRate{
				{DelayS: 0, Interactions: 5, RetainedChars: 110, BaseChars: 110, RetainedRatio: 1, MeanFourGram: 1, FourGramInteractions: 2},
				{DelayS: 5, Interactions: 4, RetainedChars: 70, BaseChars: 90, RetainedRatio: 70. / 90, MeanFourGram: 0.5, FourGramInteractions: 1},
				{DelayS: 30}, {DelayS: 120}, {DelayS: 300}, {DelayS: 600},
				{DelayS: 900, Interactions: 1, RetainedChars: 5, BaseChars: 20, RetainedRatio: 0.25},
			},
			Latency: &flywheelv1.LatencyQuantiles{Count: 16, P50Us: middle(100), P90Us: middle(120), P99Us: middle(120)},
		}},
	}
	if diff := cmp.Diff(want, resp, protocmp.Transform()); diff != "" {
		t.Errorf("GetRates (-want +got):\n%s", diff)
	}
}

func TestNoData(t *testing.T) {
	t.Parallel()
	s := serve(t)
	// A combination that has vanished counts nothing.
	s.insert(t, rateRow{Model: "gone", Version: 2}, rateRow{Tenant: "other", Shown: 5})
	resp, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{GroupBy: by("model")})
	if err != nil || len(resp.GetRows()) != 0 || resp.GetSettledAt() != nil {
		t.Errorf("GetRates = %v, %v; want no rows and no time of settlement", resp, err)
	}
	if resp, err = s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{}); err != nil || len(resp.GetRows()) != 0 {
		t.Errorf("GetRates over everything = %v, %v; want no rows", resp, err)
	}
	over, err := s.GetRatesOverTime(t.Context(), &flywheelv1.GetRatesOverTimeRequest{BucketWidth: durationpb.New(time.Minute)})
	if err != nil || len(over.GetRows()) != 0 || over.GetSettledAt() != nil {
		t.Errorf("GetRatesOverTime = %v, %v; want no rows and no time of settlement", over, err)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insert(t,
		rateRow{
			Surface: "inline_completion", Model: "b", Variant: "v1", Experiment: "e1", Language: "go", Client: "acme-vscode",
			ClientVersion: "1.0", ClientSetting: "eager", ViewKind: "ghost_text", Source: "network", Trigger: "typing", Shown: 1,
		},
		rateRow{
			Surface: "chat", Model: "a", Variant: "v2", Experiment: "e2", Language: "rust", Client: "acme-zed",
			ClientVersion: "2.0", ClientSetting: "subtle", ViewKind: "code_block", Source: "cache", Trigger: "explicit", Shown: 2,
		},
		rateRow{Shown: 4},
		rateRow{Model: "a", Bucket: start.Add(time.Hour), Shown: 8},
		rateRow{Model: "z", Bucket: start.Add(time.Hour)},
	)
	for names, want := range map[string]string{
		"":                "=15",
		"surface":         "=12 chat=2 inline_completion=1",
		"model":           "=4 a=10 b=1",
		"variant":         "=12 v1=1 v2=2",
		"experiment":      "=12 e1=1 e2=2",
		"language":        "=12 go=1 rust=2",
		"client":          "=12 acme-vscode=1 acme-zed=2",
		"client_version":  "=12 1.0=1 2.0=2",
		"client_setting":  "=12 eager=1 subtle=2",
		"view_kind":       "=12 code_block=2 ghost_text=1",
		"source":          "=12 cache=2 network=1",
		"trigger":         "=12 explicit=2 typing=1",
		"language model":  "/=4 /a=8 go/b=1 rust/a=2",
		"model language":  "/=4 a/=8 a/rust=2 b/go=1",
		"source client":   "/=12 cache/acme-zed=2 network/acme-vscode=1",
		"trigger surface": "/=12 explicit/chat=2 typing/inline_completion=1",
	} {
		if got := shown(s.rates(t, &flywheelv1.GetRatesRequest{GroupBy: by(strings.Fields(names)...)})); got != want {
			t.Errorf("by %q: %s, want %s", names, got, want)
		}
	}
	every := by("surface", "model", "variant", "experiment", "language", "client", "client_version", "client_setting", "view_kind", "source", "trigger")
	if rows := s.rates(t, &flywheelv1.GetRatesRequest{GroupBy: every}); len(rows) != 4 || len(rows[3].GetGroup()) != 11 {
		t.Errorf("by every dimension: %v", rows)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hostile := []string{`it's`, `a"b`, `back\slash`, "tab\tnew\nline\r", `') OR 1=1 --`, `{tenant:String}`, `\N`, `NULL`, `[]`, `ünïcödé 你好`, "nul\x00byte", `?`, `$1`, `@p`}
	rows := []rateRow{{Model: "a", Language: "go", Shown: 1}, {Model: "a", Shown: 2}, {Model: "b", Language: "go", Shown: 4}}
	for _, name := range hostile {
		rows = append(rows, rateRow{Model: name, Source: "hostile", Shown: 8})
	}
	s.insert(t, rows...)
	for _, c := range []struct {
		filters []*flywheelv1.Filter
		want    string
	}{
		{[]*flywheelv1.Filter{only("model", "a")}, "a=3"},
		{[]*flywheelv1.Filter{only("model", "a", "b")}, "a=3 b=4"},
		{[]*flywheelv1.Filter{only("language", "go")}, "a=1 b=4"},
		{[]*flywheelv1.Filter{only("language", ""), only("source", "")}, "a=2"},
		{[]*flywheelv1.Filter{only("language", "go"), only("model", "b", "c")}, "b=4"},
		{[]*flywheelv1.Filter{only("model", "a", "b"), only("model", "b", "c")}, "b=4"},
		{[]*flywheelv1.Filter{only("model", "none")}, ""},
	} {
		if got := shown(s.rates(t, &flywheelv1.GetRatesRequest{GroupBy: by("model"), Filters: c.filters})); got != c.want {
			t.Errorf("%v: %s, want %s", c.filters, got, c.want)
		}
	}
	for _, name := range hostile {
		got := s.rates(t, &flywheelv1.GetRatesRequest{GroupBy: by("model"), Filters: []*flywheelv1.Filter{only("model", name, "none")}})
		if shown(got) != name+"=8" {
			t.Errorf("filter %q: %s", name, shown(got))
		}
	}
	if got := s.rates(t, &flywheelv1.GetRatesRequest{Filters: []*flywheelv1.Filter{only("model", hostile...)}}); shown(got) != "="+strconv.Itoa(8*len(hostile)) {
		t.Errorf("all hostile names: %s", shown(got))
	}
}

func TestTimeRange(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i := range 5 {
		s.insert(t, rateRow{Bucket: start.Add(time.Duration(i) * time.Minute), Shown: 1 << i})
	}
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(start.Add(d)) }
	for _, c := range []struct {
		from, to *timestamppb.Timestamp
		want     string
	}{
		{nil, nil, "=31"},
		{at(time.Minute), nil, "=30"},
		{nil, at(time.Minute), "=1"},
		{at(time.Minute), at(3 * time.Minute), "=6"},
		// Rounded to whole minutes, outwards.
		{at(2*time.Minute - 1), at(3*time.Minute + 1), "=14"},
		{at(2*time.Minute + 1), at(3 * time.Minute), "=4"},
		{at(-time.Hour), at(time.Hour), "=31"},
		{at(5 * time.Minute), nil, ""},
		{nil, at(0), ""},
		{timestamppb.New(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), timestamppb.New(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), "=31"},
		{nil, timestamppb.New(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)), ""},
	} {
		if got := shown(s.rates(t, &flywheelv1.GetRatesRequest{From: c.from, To: c.to})); got != c.want {
			t.Errorf("[%v, %v): %s, want %s", c.from.AsTime(), c.to.AsTime(), got, c.want)
		}
	}
}

func TestOverTime(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i, after := range []time.Duration{0, time.Minute, 29 * time.Minute, 30 * time.Minute, 90 * time.Minute} {
		s.insert(t, rateRow{Bucket: start.Add(after), Model: "b", Language: "go", Shown: 1 << i})
	}
	s.insert(t, rateRow{Bucket: start.Add(29 * time.Minute), Model: "a", Shown: 100})
	for _, c := range []struct {
		width   time.Duration
		groupBy []flywheelv1.Dimension
		want    string
	}{
		{time.Minute, nil, "10:30 =1 10:31 =2 10:59 =104 11:00 =8 12:00 =16"},
		{time.Hour, nil, "10:00 =107 11:00 =8 12:00 =16"},
		{time.Hour, by("model"), "10:00 a=100 10:00 b=7 11:00 b=8 12:00 b=16"},
		{time.Hour, by("language", "model"), "10:00 /a=100 10:00 go/b=7 11:00 go/b=8 12:00 go/b=16"},
		{24 * time.Hour, by("model"), "00:00 a=100 00:00 b=31"},
		// Aligned to the Unix epoch.
		{7 * time.Minute, nil, bucketOf(0, 7) + " =3 " + bucketOf(29, 7) + " =104 " + bucketOf(30, 7) + " =8 " + bucketOf(90, 7) + " =16"},
		{36_500 * 24 * time.Hour, nil, "00:00 =131"},
	} {
		got := shown(s.overTime(t, &flywheelv1.GetRatesOverTimeRequest{GroupBy: c.groupBy, BucketWidth: durationpb.New(c.width)}))
		if got != c.want {
			t.Errorf("%s by %v: %s, want %s", c.width, c.groupBy, got, c.want)
		}
	}
}

// bucketOf gives the start of the bucket that a minute after the first is in.
func bucketOf(after, width int64) string {
	minute := start.Unix()/60 + after
	return time.Unix((minute-minute%width)*60, 0).UTC().Format("15:04")
}

func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insert(t, rateRow{Tenant: "acme", Shown: 1}, rateRow{Tenant: "globex", Shown: 2}, rateRow{Shown: 4})
	for tenant, want := range map[string]string{"acme": "=1", "globex": "=2", "default": "=4", "nobody": ""} {
		resp, err := s.GetRates(as(t.Context(), tenant), &flywheelv1.GetRatesRequest{})
		if err != nil || shown(resp.GetRows()) != want {
			t.Errorf("tenant %s: %s, %v; want %s", tenant, shown(resp.GetRows()), err, want)
		}
		over, err := s.GetRatesOverTime(as(t.Context(), tenant), &flywheelv1.GetRatesOverTimeRequest{BucketWidth: durationpb.New(24 * time.Hour)})
		if err != nil || strings.TrimPrefix(shown(over.GetRows()), "00:00 ") != want {
			t.Errorf("tenant %s over time: %s, %v; want %s", tenant, shown(over.GetRows()), err, want)
		}
	}
	if got := s.rates(t, &flywheelv1.GetRatesRequest{}); shown(got) != "=4" {
		t.Errorf("no tenant: %s, want the default tenant's", shown(got))
	}
}

// TestNewestVersionCounts has a minute settled three times.
func TestNewestVersionCounts(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.insert(t, rateRow{Model: "a", Version: 2, Shown: 2, SettledAt: start.Add(2 * time.Second)})
	s.insert(t, rateRow{Model: "a", Version: 3, Shown: 3, SettledAt: start.Add(3 * time.Second)})
	s.insert(t, rateRow{Model: "a", Version: 1, Shown: 1, SettledAt: start.Add(9 * time.Second)})
	resp, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{})
	if err != nil || shown(resp.GetRows()) != "=3" || !resp.GetSettledAt().AsTime().Equal(start.Add(3*time.Second)) {
		t.Errorf("GetRates = %v, %v; want version 3", resp, err)
	}
}
