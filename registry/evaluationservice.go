package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// RecordEvaluation implements [flywheelv1.ModelServiceServer].
func (s *Service) RecordEvaluation(ctx context.Context, req *flywheelv1.RecordEvaluationRequest) (*flywheelv1.RecordEvaluationResponse, error) {
	e := proto.CloneOf(req.GetEvaluation())
	if err := checkEvaluation(e).Err(); err != nil {
		return nil, err
	}
	e.EvaluatedAt = now()
	setShares(e.GetTotal())
	for _, language := range e.GetLanguages() {
		setShares(language)
	}
	slices.SortFunc(e.GetLanguages(), func(a, b *flywheelv1.EvaluationScores) int { return cmp.Compare(a.GetLanguage(), b.GetLanguage()) })
	err := s.write(ctx, func(ctx context.Context, tenant string) error {
		m, err := model(ctx, s.db, tenant, e.GetModel())
		if err != nil {
			return err
		}
		if m == nil {
			return status.Errorf(codes.NotFound, "the model %q is not registered: register it with 'flywheel model create %[1]s' (CreateModel) first", e.GetModel())
		}
		return s.storeEvaluation(ctx, tenant, e)
	})
	if err != nil {
		return nil, err
	}
	return &flywheelv1.RecordEvaluationResponse{Evaluation: e}, nil
}

// setShares computes what follows from counts.
func setShares(s *flywheelv1.EvaluationScores) {
	s.ExactMatch = share(s.GetExactMatch().GetNumerator(), s.GetRows())
	s.PrefixMatch = share(s.GetPrefixMatch().GetNumerator(), s.GetRows())
}

// ListEvaluations implements [flywheelv1.ModelServiceServer].
func (s *Service) ListEvaluations(ctx context.Context, req *flywheelv1.ListEvaluationsRequest) (*flywheelv1.ListEvaluationsResponse, error) {
	q := &evaluationQuery{models: req.GetModels(), trainingSetID: req.TrainingSetId, split: req.Split, newest: req.GetNewest()}
	var wrong rpc.Violations
	if n := len(req.GetModels()); n > maxPageSize {
		wrong.Add("models", "%d: at most %d are possible", n, maxPageSize)
	}
	size := checkPageSize(&wrong, req.GetPageSize())
	if token := req.GetPageToken(); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(text, &q.after) != nil {
			wrong.Add("page_token", "not a next_page_token of ListEvaluations")
		}
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	q.limit = size + 1
	resp := new(flywheelv1.ListEvaluationsResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) (err error) {
		resp.Evaluations, err = evaluations(ctx, s.db, tenant, q)
		if err != nil || len(resp.GetEvaluations()) <= size {
			return err
		}
		resp.Evaluations = resp.GetEvaluations()[:size]
		key, err := json.Marshal(keyOf(resp.GetEvaluations()[size-1]))
		resp.NextPageToken = base64.RawURLEncoding.EncodeToString(key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// checkEvaluation returns what is wrong with an evaluation to store.
func checkEvaluation(e *flywheelv1.Evaluation) (wrong rpc.Violations) {
	if e == nil {
		wrong.Add("evaluation", "missing")
		return wrong
	}
	for _, named := range []struct{ field, text string }{
		{"evaluation.model", e.GetModel()}, {"evaluation.training_set_id", e.GetTrainingSetId()}, {"evaluation.split", e.GetSplit()},
	} {
		if named.text == "" {
			wrong.Add(named.field, "missing")
		}
		checkLength(&wrong, named.field, named.text, maxNameBytes)
	}
	if e.GetTotal().GetRows() == 0 {
		wrong.Add("evaluation.total.rows", "0: an evaluation is of one row at least")
	}
	checkScores(&wrong, "evaluation.total", e.GetTotal())
	if n := len(e.GetLanguages()); n > maxLanguages {
		wrong.Add("evaluation.languages", "%d: at most %d are possible", n, maxLanguages)
		return wrong
	}
	var rows uint64
	before := map[string]bool{}
	for i, s := range e.GetLanguages() {
		field := fmt.Sprintf("evaluation.languages[%d]", i)
		if before[s.GetLanguage()] {
			wrong.Add(field+".language", "%q is there twice", s.GetLanguage())
		}
		before[s.GetLanguage()] = true
		rows += s.GetRows()
		checkScores(&wrong, field, s)
	}
	if rows != e.GetTotal().GetRows() {
		wrong.Add("evaluation.languages", "%d rows in all: the total has %d", rows, e.GetTotal().GetRows())
	}
	return wrong
}

// checkScores notes what cannot be true of some rows.
func checkScores(wrong *rpc.Violations, field string, s *flywheelv1.EvaluationScores) {
	checkLength(wrong, field+".language", s.GetLanguage(), maxNameBytes)
	if s.GetMissing() > s.GetRows() {
		wrong.Add(field+".missing", "%d of %d rows", s.GetMissing(), s.GetRows())
		return
	}
	predicted := s.GetRows() - s.GetMissing()
	checkShare := func(field string, rate *flywheelv1.Rate) {
		if rate.GetNumerator() > predicted || rate.GetDenominator() != s.GetRows() {
			wrong.Add(field, "%d of %d: %d of %d rows have a prediction", rate.GetNumerator(), rate.GetDenominator(), predicted, s.GetRows())
		}
	}
	checkShare(field+".exact_match", s.GetExactMatch())
	checkShare(field+".prefix_match", s.GetPrefixMatch())
	checkMean(wrong, field+".edit_similarity", s.GetEditSimilarity())
	checkMean(wrong, field+".common_prefix", s.GetCommonPrefix())
	if chars := s.GetMeanPredictedChars(); math.IsNaN(chars) || chars < 0 || math.IsInf(chars, 0) {
		wrong.Add(field+".mean_predicted_chars", "%v is no number of characters", chars)
	}
}

func checkMean(wrong *rpc.Violations, field string, m *flywheelv1.MeanScore) {
	// What is not a number is in no order.
	if inOrder := 0 <= m.GetLow() && m.GetLow() <= m.GetValue() && m.GetValue() <= m.GetHigh() && m.GetHigh() <= 1; !inOrder {
		wrong.Add(field, "%v from %v to %v: 0 ≤ low ≤ value ≤ high ≤ 1 is needed", m.GetValue(), m.GetLow(), m.GetHigh())
	}
}
