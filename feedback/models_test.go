package feedback_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// register puts a model into the registry.
func (s *service) register(t *testing.T, tenant, model, stage, parent string) {
	t.Helper()
	err := s.db.Conn().Exec(t.Context(), "INSERT INTO models (tenant, model, revision, stage, parent) VALUES (?, ?, 1, ?, ?)",
		tenant, model, stage, parent)
	if err != nil {
		t.Fatalf("register model: %v", err)
	}
}

// TestRegisteredModels joins rows with the registry, and filters by stage.
func TestRegisteredModels(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for i, model := range []string{"a", "b", "c", "", "stranger"} {
		s.insert(t, rateRow{Model: model, Language: "go", Shown: 1 << i})
	}
	s.insert(t, rateRow{Model: "b", Language: "rust", Shown: 32})
	s.register(t, "default", "a", "released", "")
	s.register(t, "default", "b", "experiment", "a")
	s.register(t, "default", "c", "experiment", "a")
	s.register(t, "default", "unused", "dogfood", "a")
	s.register(t, "other", "stranger", "experiment", "")
	const dogfood, experiment, released, retired = 2, 3, 4, 5
	for name, c := range map[string]struct {
		groupBy      []flywheelv1.Dimension
		stages       []flywheelv1.ModelStage
		filters      []*flywheelv1.Filter
		rows, models string
	}{
		"by model":             {by("model"), nil, nil, "=8 a=1 b=34 c=4 stranger=16", "a b c"},
		"by language and more": {by("language", "model"), nil, nil, "go/=8 go/a=1 go/b=2 go/c=4 go/stranger=16 rust/b=32", "a b c"},
		"by language":          {by("language"), nil, nil, "go=31 rust=32", ""},
		"at a stage":           {by("model"), []flywheelv1.ModelStage{experiment}, nil, "b=34 c=4", "b c"},
		"at two stages":        {nil, []flywheelv1.ModelStage{experiment, released}, nil, "=39", ""},
		"with a filter":        {by("model"), []flywheelv1.ModelStage{experiment}, []*flywheelv1.Filter{only("model", "a", "b")}, "b=34", "b"},
		"no events":            {by("model"), []flywheelv1.ModelStage{dogfood}, nil, "", ""},
		"no models":            {by("model"), []flywheelv1.ModelStage{retired}, nil, "", ""},
	} {
		resp, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{GroupBy: c.groupBy, ModelStages: c.stages, Filters: c.filters})
		if err != nil || shown(resp.GetRows()) != c.rows || modelNames(resp.GetModels()) != c.models {
			t.Errorf("%s: %s of %q, %v; want %s of %q", name, shown(resp.GetRows()), modelNames(resp.GetModels()), err, c.rows, c.models)
		}
		over, err := s.GetRatesOverTime(t.Context(), &flywheelv1.GetRatesOverTimeRequest{
			GroupBy: c.groupBy, ModelStages: c.stages, Filters: c.filters, BucketWidth: durationpb.New(24 * time.Hour),
		})
		if err != nil || strings.ReplaceAll(shown(over.GetRows()), "00:00 ", "") != c.rows || modelNames(over.GetModels()) != c.models {
			t.Errorf("%s over time: %s of %q, %v; want %s of %q", name, shown(over.GetRows()), modelNames(over.GetModels()), err, c.rows, c.models)
		}
		if m := resp.GetModels()["b"]; m != nil && (m.GetParent() != "a" || m.GetStage() != experiment || m.GetModel() != "b") {
			t.Errorf("%s: model %v", name, m)
		}
	}
}

func modelNames(models map[string]*flywheelv1.Model) string {
	return strings.Join(slices.Sorted(maps.Keys(models)), " ")
}

func TestManyModels(t *testing.T) {
	t.Parallel()
	s := serve(t)
	err := s.db.Conn().Exec(t.Context(), `
		INSERT INTO models (tenant, model, revision, stage)
		SELECT 'default', concat('model ', toString(number)), 1, if(number < 1001, 'experiment', 'released') FROM numbers(2001)`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s.insert(t, rateRow{Model: fmt.Sprint("model ", 1000+i), Shown: 1})
	}
	if got := s.rates(t, &flywheelv1.GetRatesRequest{GroupBy: by("model"), ModelStages: []flywheelv1.ModelStage{4}}); shown(got) != "model 1001=1 model 1002=1" {
		t.Errorf("1000 models: %s", shown(got))
	}
	if _, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{ModelStages: []flywheelv1.ModelStage{3}}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("1001 models: %v, want RESOURCE_EXHAUSTED", err)
	}
	err = s.db.Conn().Exec(t.Context(), `
		INSERT INTO rates (tenant, bucket, model, version, shown)
		SELECT 'default', toDateTime('2026-11-20 10:30:00', 'UTC'), concat('model ', toString(number)), 2, 1 FROM numbers(2500)`)
	if err != nil {
		t.Fatal(err)
	}
	s.addUp(t)
	resp, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{GroupBy: by("model")})
	if err != nil || len(resp.GetRows()) != 2500 || len(resp.GetModels()) != 2001 {
		t.Errorf("%d rows with %d models, %v; want 2500 with 2001", len(resp.GetRows()), len(resp.GetModels()), err)
	}
}

func TestUnknownStages(t *testing.T) {
	t.Parallel()
	s := serve(t)
	stages := []flywheelv1.ModelStage{1, 0, 9}
	_, err := s.GetRates(t.Context(), &flywheelv1.GetRatesRequest{ModelStages: stages})
	_, over := s.GetRatesOverTime(t.Context(), &flywheelv1.GetRatesOverTimeRequest{ModelStages: stages, BucketWidth: durationpb.New(time.Minute)})
	for _, err := range []error{err, over} {
		if status.Code(err) != codes.InvalidArgument || violated(err) != "model_stages[1] model_stages[2]" {
			t.Errorf("%v in the fields %q, want model_stages[1] and [2]", err, violated(err))
		}
	}
}
