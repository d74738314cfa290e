package registry_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// anEvaluation has a value in every field that is sent.
func anEvaluation(model, set, split string) *flywheelv1.Evaluation {
	scores := func(language string, rows, exact uint64) *flywheelv1.EvaluationScores {
		return &flywheelv1.EvaluationScores{
			Language: language, Rows: rows, Missing: 1,
			ExactMatch: &flywheelv1.Rate{Numerator: exact, Denominator: rows}, PrefixMatch: &flywheelv1.Rate{Numerator: exact + 1, Denominator: rows},
			EditSimilarity:     &flywheelv1.MeanScore{Value: 0.75, Low: 0.5, High: 0.875},
			CommonPrefix:       &flywheelv1.MeanScore{Value: 0.25, Low: 0.125, High: 0.5},
			MeanPredictedChars: 17.5,
		}
	}
	return &flywheelv1.Evaluation{
		Model: model, TrainingSetId: set, Split: split, Unknown: 2, Total: scores("", 10, 4),
		Languages: []*flywheelv1.EvaluationScores{scores("python", 4, 1), scores("go", 6, 3)},
	}
}

// record stores an evaluation, which must succeed.
func (s *running) record(t *testing.T, e *flywheelv1.Evaluation) *flywheelv1.Evaluation {
	t.Helper()
	resp, err := s.RecordEvaluation(t.Context(), &flywheelv1.RecordEvaluationRequest{Evaluation: e})
	if err != nil {
		t.Fatalf("RecordEvaluation(%v): %v", e, err)
	}
	return resp.GetEvaluation()
}

// TestEvaluationLife records an evaluation and reads it in all ways.
func TestEvaluationLife(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(t, &flywheelv1.CreateModelRequest{Model: "tab-7"})
	sent := anEvaluation("tab-7", "set 'one'", "test")
	stored := s.record(t, sent)
	if age := time.Since(stored.GetEvaluatedAt().AsTime()); age < 0 || age > time.Minute {
		t.Errorf("evaluated at %v", stored.GetEvaluatedAt().AsTime())
	}
	// Wilson, by Newcombe's formula, of 4 of 10.
	exact := stored.GetTotal().GetExactMatch()
	if got := fmt.Sprintf("%.2f %.4f %.4f", exact.GetValue(), exact.GetLow(), exact.GetHigh()); got != "0.40 0.1682 0.6873" {
		t.Errorf("exact match %s", got)
	}
	want := proto.CloneOf(sent)
	want.Languages[0], want.Languages[1] = want.Languages[1], want.Languages[0]
	rates, at := protocmp.IgnoreFields(&flywheelv1.Rate{}, "value", "low", "high"), protocmp.IgnoreFields(&flywheelv1.Evaluation{}, "evaluated_at")
	if diff := cmp.Diff(want, stored, protocmp.Transform(), rates, at); diff != "" {
		t.Errorf("stored (-sent +stored):\n%s", diff)
	}
	listed, err := s.ListEvaluations(t.Context(), &flywheelv1.ListEvaluationsRequest{})
	if diff := cmp.Diff([]*flywheelv1.Evaluation{stored}, listed.GetEvaluations(), protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("ListEvaluations: %v (-want +got)\n%s", err, diff)
	}
	shown, err := s.GetModel(t.Context(), &flywheelv1.GetModelRequest{Model: "tab-7"})
	if diff := cmp.Diff([]*flywheelv1.Evaluation{stored}, shown.GetEvaluations(), protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("GetModel: %v (-want +got)\n%s", err, diff)
	}
	other, err := s.ListEvaluations(as(t.Context(), "other"), &flywheelv1.ListEvaluationsRequest{})
	if err != nil || len(other.GetEvaluations()) != 0 {
		t.Errorf("another tenant sees %v, %v", other, err)
	}
}

// TestListEvaluations has three models, of which the first two have been evaluated 12
// times each, now with this split and now with that.
func TestListEvaluations(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, name := range []string{"a", "b", "c"} {
		s.create(t, &flywheelv1.CreateModelRequest{Model: name})
	}
	for i := range 12 {
		for _, name := range []string{"b", "a"} {
			s.record(t, anEvaluation(name, fmt.Sprint("set ", i), []string{"test", "validation"}[i%2]))
		}
	}
	list := func(req *flywheelv1.ListEvaluationsRequest) (found []string, next string) {
		t.Helper()
		resp, err := s.ListEvaluations(t.Context(), req)
		if err != nil {
			t.Fatalf("ListEvaluations(%v): %v", req, err)
		}
		for _, e := range resp.GetEvaluations() {
			found = append(found, e.GetModel()+" "+strings.TrimPrefix(e.GetTrainingSetId(), "set "))
		}
		return found, resp.GetNextPageToken()
	}
	for want, req := range map[string]*flywheelv1.ListEvaluationsRequest{
		"a 11,b 11":                {Newest: 1},
		"a 11,a 10,b 11,b 10":      {Newest: 2},
		"a 10,a 8,b 10,b 8":        {Newest: 2, Split: new("test")},
		"b 11,b 9,b 7,b 5,b 3,b 1": {Models: []string{"b", "c"}, Split: new("validation")},
		"a 3,b 3":                  {TrainingSetId: new("set 3")},
		"":                         {Models: []string{"c"}},
		"b 11,b 10":                {Models: []string{"b"}, Newest: 2},
	} {
		if got, next := list(req); strings.Join(got, ",") != want || next != "" {
			t.Errorf("ListEvaluations(%v) = %v, %q; want %s", req, got, next, want)
		}
	}
	all, _ := list(&flywheelv1.ListEvaluationsRequest{})
	if len(all) != 24 || all[0] != "a 11" || all[23] != "b 0" {
		t.Errorf("all: %v", all)
	}
	var paged []string
	req := &flywheelv1.ListEvaluationsRequest{PageSize: 5, Newest: 9}
	for {
		some, next := list(req)
		paged = append(paged, some...)
		if req.PageToken = next; next == "" {
			break
		}
	}
	if want := slices.Concat(all[:9], all[12:21]); !cmp.Equal(paged, want) {
		t.Errorf("pages %v, want %v", paged, want)
	}
	shown, err := s.GetModel(t.Context(), &flywheelv1.GetModelRequest{Model: "b"})
	if n := len(shown.GetEvaluations()); n != 10 || err != nil || shown.GetEvaluations()[0].GetTrainingSetId() != "set 11" {
		t.Errorf("GetModel: %d evaluations, %v", n, err)
	}
}

func TestEvaluationErrors(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.create(t, &flywheelv1.CreateModelRequest{Model: "a"})
	long := strings.Repeat("x", 257)
	record := func(change func(*flywheelv1.Evaluation)) error {
		e := anEvaluation("a", "set", "test")
		change(e)
		_, err := s.RecordEvaluation(t.Context(), &flywheelv1.RecordEvaluationRequest{Evaluation: e})
		return err
	}
	list := func(req *flywheelv1.ListEvaluationsRequest) error {
		_, err := s.ListEvaluations(t.Context(), req)
		return err
	}
	_, empty := s.RecordEvaluation(t.Context(), &flywheelv1.RecordEvaluationRequest{})
	for name, c := range map[string]struct {
		err          error
		code         codes.Code
		field, words string
	}{
		"nothing": {empty, codes.InvalidArgument, "evaluation", "missing"},
		"no names": {record(func(e *flywheelv1.Evaluation) { e.Model, e.TrainingSetId, e.Split = "", "", "" }),
			codes.InvalidArgument, "evaluation.model evaluation.training_set_id evaluation.split", "missing"},
		"long names": {record(func(e *flywheelv1.Evaluation) { e.Model, e.TrainingSetId, e.Split = long, long, long }),
			codes.InvalidArgument, "evaluation.model evaluation.training_set_id evaluation.split", "257 bytes"},
		"unknown model": {record(func(e *flywheelv1.Evaluation) { e.Model = "x" }), codes.NotFound, "", "'flywheel model create x' (CreateModel) first"},
		"no rows": {record(func(e *flywheelv1.Evaluation) { e.Total, e.Languages = nil, nil }),
			codes.InvalidArgument, "evaluation.total.rows", "one row at least"},
		"too many missing": {record(func(e *flywheelv1.Evaluation) { e.Total.Missing = 11 }), codes.InvalidArgument, "evaluation.total.missing", "11 of 10"},
		"more than all": {record(func(e *flywheelv1.Evaluation) { e.Total.ExactMatch.Numerator, e.Total.PrefixMatch.Denominator = 10, 9 }),
			codes.InvalidArgument, "evaluation.total.exact_match evaluation.total.prefix_match", "10 of 10: 9 of 10 rows have a prediction"},
		"no numbers": {record(func(e *flywheelv1.Evaluation) {
			e.Languages[1].EditSimilarity.Value, e.Languages[1].CommonPrefix.High, e.Languages[1].MeanPredictedChars = math.NaN(), 1.5, math.Inf(1)
		}), codes.InvalidArgument, "evaluation.languages[1].edit_similarity evaluation.languages[1].common_prefix evaluation.languages[1].mean_predicted_chars", "is needed"},
		"out of order": {record(func(e *flywheelv1.Evaluation) { e.Total.CommonPrefix.Low = 0.3 }), codes.InvalidArgument, "evaluation.total.common_prefix", "0.25 from 0.3"},
		"wrong sum":    {record(func(e *flywheelv1.Evaluation) { e.Languages = e.Languages[1:] }), codes.InvalidArgument, "evaluation.languages", "6 rows in all: the total has 10"},
		"language twice": {record(func(e *flywheelv1.Evaluation) { e.Languages[0].Language = "go" }),
			codes.InvalidArgument, "evaluation.languages[1].language", `"go" is there twice`},
		"many languages": {record(func(e *flywheelv1.Evaluation) { e.Languages = make([]*flywheelv1.EvaluationScores, 1001) }),
			codes.InvalidArgument, "evaluation.languages", "1001: at most 1000"},
		"large page":    {list(&flywheelv1.ListEvaluationsRequest{PageSize: 1001}), codes.InvalidArgument, "page_size", "1 to 1000"},
		"strange token": {list(&flywheelv1.ListEvaluationsRequest{PageToken: "YQ"}), codes.InvalidArgument, "page_token", "next_page_token"},
		"many models":   {list(&flywheelv1.ListEvaluationsRequest{Models: make([]string, 1001)}), codes.InvalidArgument, "models", "1001"},
	} {
		if status.Code(c.err) != c.code || violated(c.err) != c.field || !strings.Contains(status.Convert(c.err).Message(), c.words) {
			t.Errorf("%s: %v in the fields %q; want %v in %q with %q", name, c.err, violated(c.err), c.code, c.field, c.words)
		}
	}
	if got := s.log.String(); got != "" {
		t.Errorf("refusals are logged as errors: %s", got)
	}
}
