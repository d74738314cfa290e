package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// evaluatedAtOnce is how many models' evaluations are asked for in one call.
const evaluatedAtOnce = 1000

// scoreNames are the columns of scoreCells.
func scoreNames() []string {
	return []string{"ROWS", "MISSING", "EXACT", "EDIT_SIMILARITY", "PREFIX", "COMMON_PREFIX", "CHARS"}
}

// scoreCells are scores, with their 95 % intervals.
func scoreCells(s *flywheelv1.EvaluationScores) []string {
	return []string{
		count(s.GetRows()), count(s.GetMissing()),
		estimate(s.GetExactMatch()), estimate(s.GetEditSimilarity()), estimate(s.GetPrefixMatch()), estimate(s.GetCommonPrefix()),
		fmt.Sprintf("%.1f", s.GetMeanPredictedChars()),
	}
}

// estimated is a share or a mean.
type estimated interface {
	GetValue() float64
	GetLow() float64
	GetHigh() float64
}

// estimate is a value with its interval.
func estimate(e estimated) string {
	return fmt.Sprintf("%s (%.2f-%.2f%%)", percent(e.GetValue()), 100*e.GetLow(), 100*e.GetHigh())
}

// writeScores writes a row for all rows of a split and one for each language.
func writeScores(w io.Writer, e *flywheelv1.Evaluation) error {
	rows := [][]string{append([]string{"(all)"}, scoreCells(e.GetTotal())...)}
	for _, s := range e.GetLanguages() {
		rows = append(rows, append([]string{s.GetLanguage()}, scoreCells(s)...))
	}
	if err := writeTable(w, append([]string{"LANGUAGE"}, scoreNames()...), rows); err != nil {
		return err
	}
	if e.GetUnknown() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "Predictions of interactions that the split %s does not have: %d. They count nowhere.\n", e.GetSplit(), e.GetUnknown())
	return err
}

// writeEvaluations writes a row for each evaluation.
func writeEvaluations(w io.Writer, evaluations []*flywheelv1.Evaluation) error {
	var rows [][]string
	for _, e := range evaluations {
		rows = append(rows, append([]string{timeText(e.GetEvaluatedAt()), e.GetTrainingSetId(), e.GetSplit()}, scoreCells(e.GetTotal())...))
	}
	return writeTable(w, append([]string{"EVALUATED", "TRAINING_SET", "SPLIT"}, scoreNames()...), rows)
}

// newestEvaluations asks for the newest evaluation of each model that has one.
func newestEvaluations(ctx context.Context, s feedbackSettings, conn *grpc.ClientConn, models map[string]*flywheelv1.Model) (map[string]*flywheelv1.Evaluation, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	found := map[string]*flywheelv1.Evaluation{}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(models)), evaluatedAtOnce) {
		resp, err := flywheelv1.NewModelServiceClient(conn).ListEvaluations(ctx, &flywheelv1.ListEvaluationsRequest{
			Models: names, Newest: 1, PageSize: evaluatedAtOnce,
		})
		if err != nil {
			return nil, askError(s, err)
		}
		for _, e := range resp.GetEvaluations() {
			found[e.GetModel()] = e
		}
	}
	return found, nil
}

// exactText is the exact match of an evaluation, with its split; empty where there is none.
func exactText(e *flywheelv1.Evaluation) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%s (%s)", percent(e.GetTotal().GetExactMatch().GetValue()), e.GetSplit())
}
