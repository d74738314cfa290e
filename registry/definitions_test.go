package registry_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor/signal"
	"github.com/yirifi/flywheel/registry"
)

// definitions lists all definitions.
func (s *running) definitions(t *testing.T) []*flywheelv1.Definition {
	t.Helper()
	resp, err := s.ListDefinitions(t.Context(), &flywheelv1.ListDefinitionsRequest{})
	if err != nil {
		t.Fatalf("ListDefinitions: %v", err)
	}
	return resp.GetDefinitions()
}

// add stores a definition, which must succeed.
func (s *running) add(t *testing.T, d *flywheelv1.Definition) *flywheelv1.Definition {
	t.Helper()
	resp, err := s.CreateDefinition(t.Context(), &flywheelv1.CreateDefinitionRequest{Definition: d})
	if err != nil {
		t.Fatalf("CreateDefinition: %v", err)
	}
	return resp.GetDefinition()
}

// edited is a definition without a version, changed.
func edited(d *flywheelv1.Definition, change func(*flywheelv1.Definition)) *flywheelv1.Definition {
	next := proto.CloneOf(d)
	next.Version, next.CreatedAt = 0, nil
	change(next)
	return next
}

// TestDefinitionsGrow edits the definition that comes along and adds it back.
func TestDefinitionsGrow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	first := s.definitions(t)[0]
	if got, err := registry.Definitions(t.Context(), s.db); err != nil || len(got) != 1 || got[0].Weights != signal.DefaultDefinition().Weights {
		t.Errorf("Definitions = %v, %v; want the default one", got, err)
	}
	same := s.add(t, edited(first, func(*flywheelv1.Definition) {}))
	if diff := cmp.Diff(first, same, protocmp.Transform()); diff != "" {
		t.Errorf("added once more (-there +got):\n%s", diff)
	}
	slow := edited(first, func(d *flywheelv1.Definition) {
		d.Notes = "'quoted' ? {x:String} \\ ü"
		d.Name, d.MinReject, d.Weights.Rejected = "slow", durationpb.New(300*time.Millisecond), -5000
		d.Weights.RetentionDelays, d.Weights.TaskResults = d.GetWeights().GetRetentionDelays()[1:], d.GetWeights().GetTaskResults()[:8]
	})
	second := s.add(t, slow)
	want := proto.CloneOf(first)
	want.Version, want.CreatedAt, want.Name, want.MinReject, want.Weights.Rejected = 2, second.GetCreatedAt(), "slow", slow.GetMinReject(), -5000
	want.Notes, want.Weights.TaskResults[8].Weight = slow.GetNotes(), 0
	if diff := cmp.Diff([]*flywheelv1.Definition{first, want}, s.definitions(t), protocmp.Transform()); diff != "" {
		t.Errorf("ListDefinitions (-want +got):\n%s", diff)
	}
	if again := s.add(t, slow); again.GetVersion() != 2 {
		t.Errorf("a retry made definition %d, want 2 again", again.GetVersion())
	}
	if numbered := s.add(t, edited(want, func(d *flywheelv1.Definition) { d.Version = 7 })); numbered.GetVersion() != 7 {
		t.Errorf("definition 7 became %d", numbered.GetVersion())
	}
	changed := edited(want, func(d *flywheelv1.Definition) { d.Version, d.Notes = 2, "other" })
	_, err := s.CreateDefinition(t.Context(), &flywheelv1.CreateDefinitionRequest{Definition: changed})
	if status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), "the next is 8") {
		t.Errorf("another definition 2: %v, want ALREADY_EXISTS", err)
	}
	d := signal.DefaultDefinition()
	d.Name = "other"
	if err := registry.AddDefinition(t.Context(), s.db, d); !errors.Is(err, registry.ErrExists) {
		t.Errorf("AddDefinition: %v, want ErrExists", err)
	}
}

func TestDefinitionRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	first := s.definitions(t)[0]
	for name, c := range map[string]struct {
		change func(*flywheelv1.Definition)
		field  string
	}{
		"nothing":          {func(d *flywheelv1.Definition) { proto.Reset(d) }, "definition.weights"},
		"no name":          {func(d *flywheelv1.Definition) { d.Name = "" }, "definition"},
		"long texts":       {func(d *flywheelv1.Definition) { d.Name, d.Notes = strings.Repeat("x", 129), strings.Repeat("x", 4097) }, "definition.name definition.notes"},
		"high version":     {func(d *flywheelv1.Definition) { d.Version = math.MaxUint32 }, "definition.version"},
		"nanoseconds":      {func(d *flywheelv1.Definition) { d.Window, d.MinReject = durationpb.New(1), durationpb.New(1) }, "definition.window definition.min_reject"},
		"invalid duration": {func(d *flywheelv1.Definition) { d.FastReject = &durationpb.Duration{Seconds: 1, Nanos: -1} }, "definition.fast_reject"},
		"two weights":      {func(d *flywheelv1.Definition) { d.Weights.Kept, d.Weights.Thumb = 10_001, -10_001 }, "definition definition"},
		"short window":     {func(d *flywheelv1.Definition) { d.Window = durationpb.New(time.Millisecond) }, "definition"},
		"negative":         {func(d *flywheelv1.Definition) { d.MinReject = durationpb.New(-time.Second) }, "definition"},
		"unknown delay":    {func(d *flywheelv1.Definition) { d.Weights.RetentionDelays[3].DelayS = 7 }, "definition.weights.retention_delays[3].delay_s"},
		"delay twice":      {func(d *flywheelv1.Definition) { d.Weights.RetentionDelays[3].DelayS = 5 }, "definition.weights.retention_delays[3].delay_s"},
		"heavy delay":      {func(d *flywheelv1.Definition) { d.Weights.RetentionDelays[3].Weight = 1001 }, "definition"},
		"unknown result":   {func(d *flywheelv1.Definition) { d.Weights.TaskResults[0].Result = 10 }, "definition.weights.task_results[0].result"},
		"no result":        {func(d *flywheelv1.Definition) { d.Weights.TaskResults[0].Result = 0 }, "definition.weights.task_results[0].result"},
		"result twice":     {func(d *flywheelv1.Definition) { d.Weights.TaskResults[1].Result = 1 }, "definition.weights.task_results[1].result"},
	} {
		_, err := s.CreateDefinition(t.Context(), &flywheelv1.CreateDefinitionRequest{Definition: edited(first, c.change)})
		if status.Code(err) != codes.InvalidArgument || violated(err) != c.field {
			t.Errorf("%s: %v in the fields %q; want INVALID_ARGUMENT in %q", name, err, violated(err), c.field)
		}
	}
	if got := len(s.definitions(t)); got != 1 {
		t.Errorf("%d definitions, want 1", got)
	}
}

// interaction inserts a partial row of a shown interaction.
func (s *running) interaction(t *testing.T, tenant, model string, n int, outcome flywheelv1.Outcome, visible time.Duration) {
	t.Helper()
	err := s.db.Conn().Exec(t.Context(), `
		INSERT INTO interactions (tenant, started_at, interaction_id, model, language, shown_at, outcome_rank, visible_us, output_chars)
		VALUES (?, ?, ?, ?, 'go', now64(6), ?, ?, 10)`,
		tenant, started, fmt.Sprintf("00000000-0000-7000-8000-%012d", n), model, uint64(outcome), uint64(visible.Microseconds()))
	if err != nil {
		t.Fatalf("insert interaction: %v", err)
	}
}

// started is when the interactions started: two days ago.
var started = time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Second)

const (
	accepted = flywheelv1.Outcome_OUTCOME_ACCEPTED
	rejected = flywheelv1.Outcome_OUTCOME_REJECTED
	ignored  = flywheelv1.Outcome_OUTCOME_IGNORED
)

// judged starts a registry with five interactions and the definitions 2 and 3: the
// third takes fast rejections for no judgement.
func judged(t *testing.T) *running {
	t.Helper()
	s := serve(t)
	two := s.add(t, &flywheelv1.Definition{
		Version: 2, Name: "two", Window: durationpb.New(time.Hour), FastReject: durationpb.New(2 * time.Second),
		Weights: &flywheelv1.RewardWeights{Accepted: 4000, Rejected: -4000, RejectedFast: -3000},
	})
	s.add(t, edited(two, func(d *flywheelv1.Definition) {
		d.MinReject, d.Weights.Accepted, d.Window = durationpb.New(300*time.Millisecond), 8000, durationpb.New(90*24*time.Hour)
	}))
	s.interaction(t, "default", "a", 1, accepted, time.Second)              // 0.4, 0.8
	s.interaction(t, "default", "a", 2, rejected, 200*time.Millisecond)     // -0.4 - 0.27, 0
	s.interaction(t, "default", "a", 3, rejected, 4*time.Second)            // -0.4, -0.4
	s.interaction(t, "default", "b", 4, rejected, 4*time.Second)            // -0.4, -0.4
	s.interaction(t, "default", "b", 5, rejected, 4*time.Second)            // -0.4, -0.4
	s.interaction(t, "other", "a", 6, accepted, time.Second)                // another tenant
	s.interaction(t, "default", "a", 3, flywheelv1.Outcome(0), time.Second) // a second partial row
	return s
}

// compare compares the definitions 2 and 3, which must succeed.
func (s *running) compare(t *testing.T, req *flywheelv1.CompareDefinitionsRequest) *flywheelv1.CompareDefinitionsResponse {
	t.Helper()
	req.DefinitionA, req.DefinitionB = 2, 3
	resp, err := s.CompareDefinitions(t.Context(), req)
	if err != nil {
		t.Fatalf("CompareDefinitions: %v", err)
	}
	return resp
}

// correlation is Pearson's formula.
func correlation(a, b []float64) *float64 {
	var sa, sb, saa, sbb, sab float64
	n := float64(len(a))
	for i := range a {
		sa, sb, saa, sbb, sab = sa+a[i], sb+b[i], saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	return new((n*sab - sa*sb) / math.Sqrt((n*saa-sa*sa)*(n*sbb-sb*sb)))
}

func TestCompareDefinitions(t *testing.T) {
	t.Parallel()
	s := judged(t)
	pair := func(a, b flywheelv1.Outcome, n uint64) *flywheelv1.LabelPair {
		return &flywheelv1.LabelPair{LabelA: a, LabelB: b, Interactions: n}
	}
	want := &flywheelv1.CompareDefinitionsResponse{
		Overall: &flywheelv1.DefinitionComparison{
			Interactions: 5, SettledA: 5,
			Labels:      []*flywheelv1.LabelPair{pair(accepted, accepted, 1), pair(rejected, rejected, 3), pair(rejected, ignored, 1)},
			MeanRewardA: (0.4 - 0.67 - 3*0.4) / 5, MeanRewardB: (0.8 - 3*0.4) / 5, MeanDifference: (0.4 + 0.67) / 5,
			Correlation: correlation([]float64{0.4, -0.67, -0.4, -0.4, -0.4}, []float64{0.8, 0, -0.4, -0.4, -0.4}),
		},
		Models: []*flywheelv1.DefinitionComparison{
			{
				Model: "a", Interactions: 3, SettledA: 3,
				Labels:      []*flywheelv1.LabelPair{pair(accepted, accepted, 1), pair(rejected, rejected, 1), pair(rejected, ignored, 1)},
				MeanRewardA: (0.4 - 0.67 - 0.4) / 3, MeanRewardB: (0.8 - 0.4) / 3, MeanDifference: (0.4 + 0.67) / 3,
				Correlation: correlation([]float64{0.4, -0.67, -0.4}, []float64{0.8, 0, -0.4}),
			},
			{
				Model: "b", Interactions: 2, SettledA: 2, Labels: []*flywheelv1.LabelPair{pair(rejected, rejected, 2)},
				MeanRewardA: -0.4, MeanRewardB: -0.4,
			},
		},
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })
	got := s.compare(t, &flywheelv1.CompareDefinitionsRequest{})
	if diff := cmp.Diff(want, got, protocmp.Transform(), near); diff != "" {
		t.Errorf("CompareDefinitions (-want +got):\n%s", diff)
	}
	same, err := s.CompareDefinitions(t.Context(), &flywheelv1.CompareDefinitionsRequest{DefinitionA: 2, DefinitionB: 2})
	if err != nil || same.GetOverall().GetInteractions() != 5 || same.GetOverall().GetCorrelation() != 1 || same.GetOverall().GetMeanDifference() != 0 {
		t.Errorf("a definition with itself: %v, %v", same, err)
	}
}

// TestComparedInteractions checks which interactions are compared.
func TestComparedInteractions(t *testing.T) {
	t.Parallel()
	s := judged(t)
	only := func(dimension flywheelv1.Dimension, values ...string) []*flywheelv1.Filter {
		return []*flywheelv1.Filter{{Dimension: dimension, Values: values}}
	}
	for name, c := range map[string]struct {
		req  *flywheelv1.CompareDefinitionsRequest
		want uint64
	}{
		"from":             {&flywheelv1.CompareDefinitionsRequest{From: timestamppb.New(started)}, 5},
		"from after":       {&flywheelv1.CompareDefinitionsRequest{From: timestamppb.New(started.Add(1))}, 0},
		"to":               {&flywheelv1.CompareDefinitionsRequest{To: timestamppb.New(started)}, 0},
		"to after":         {&flywheelv1.CompareDefinitionsRequest{To: timestamppb.New(started.Add(1))}, 5},
		"the longest time": {&flywheelv1.CompareDefinitionsRequest{From: timestamppb.New(time.Time{}), To: timestamppb.New(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))}, 5},
		"model":            {&flywheelv1.CompareDefinitionsRequest{Filters: only(flywheelv1.Dimension_DIMENSION_MODEL, "b", "'")}, 2},
		"language":         {&flywheelv1.CompareDefinitionsRequest{Filters: only(flywheelv1.Dimension_DIMENSION_LANGUAGE, "")}, 0},
	} {
		if got := s.compare(t, c.req).GetOverall().GetInteractions(); got != c.want {
			t.Errorf("%s: %d interactions, want %d", name, got, c.want)
		}
	}
	for dimension := range flywheelv1.Dimension_name {
		if dimension != 0 {
			s.compare(t, &flywheelv1.CompareDefinitionsRequest{Filters: only(flywheelv1.Dimension(dimension), "x")})
		}
	}
}

func TestCompareRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t)
	at := timestamppb.New(started)
	for name, c := range map[string]struct {
		req   *flywheelv1.CompareDefinitionsRequest
		code  codes.Code
		field string
	}{
		"nothing":            {&flywheelv1.CompareDefinitionsRequest{}, codes.InvalidArgument, "definition_a definition_b"},
		"unknown definition": {&flywheelv1.CompareDefinitionsRequest{DefinitionA: 1, DefinitionB: 2}, codes.NotFound, ""},
		"empty range":        {&flywheelv1.CompareDefinitionsRequest{DefinitionA: 1, DefinitionB: 1, From: at, To: at}, codes.InvalidArgument, "to"},
		"invalid time":       {&flywheelv1.CompareDefinitionsRequest{DefinitionA: 1, DefinitionB: 1, From: &timestamppb.Timestamp{Nanos: -1}}, codes.InvalidArgument, "from"},
		"bad filter":         {&flywheelv1.CompareDefinitionsRequest{DefinitionA: 1, DefinitionB: 1, Filters: []*flywheelv1.Filter{{}}}, codes.InvalidArgument, "filters[0].dimension filters[0].values"},
		"many filters":       {&flywheelv1.CompareDefinitionsRequest{DefinitionA: 1, DefinitionB: 1, Filters: make([]*flywheelv1.Filter, 33)}, codes.InvalidArgument, "filters"},
	} {
		_, err := s.CompareDefinitions(t.Context(), c.req)
		if status.Code(err) != c.code || violated(err) != c.field {
			t.Errorf("%s: %v in the fields %q; want %v in %q", name, err, violated(err), c.code, c.field)
		}
	}
}
