package registry

import (
	"context"
	_ "embed" // the statements
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yirifi/flywheel/feedback/stats"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

//go:embed evaluations.sql
var evaluationsSQL string

// evaluationQuery says which evaluations to read: those for which everything that is set
// holds.
type evaluationQuery struct {
	models               []string
	trainingSetID, split *string
	// newest is how many of the newest of each model to read; 0 is all.
	newest uint32
	// after is the evaluation before the first.
	after evaluationKey
	limit int
}

// evaluationKey is the place of an evaluation among those of a tenant.
type evaluationKey struct {
	Model         string `json:"m"`
	At            int64  `json:"t"` // in Unix milliseconds
	TrainingSetID string `json:"i"`
	Split         string `json:"s"`
}

func keyOf(e *flywheelv1.Evaluation) evaluationKey {
	return evaluationKey{e.GetModel(), e.GetEvaluatedAt().AsTime().UnixMilli(), e.GetTrainingSetId(), e.GetSplit()}
}

func (q *evaluationQuery) arguments(tenant string) []any {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	newest := uint64(q.newest)
	if newest == 0 {
		newest = math.MaxInt64
	}
	return []any{
		clickhouse.Named("tenant", tenant),
		clickhouse.Named("models", slices.Concat([]string{}, q.models)),
		clickhouse.Named("any_training_set", q.trainingSetID == nil),
		clickhouse.Named("training_set_id", text(q.trainingSetID)),
		clickhouse.Named("any_split", q.split == nil),
		clickhouse.Named("split", text(q.split)),
		clickhouse.Named("newest", newest),
		clickhouse.Named("after_model", q.after.Model),
		clickhouse.Named("after_ms", q.after.At),
		clickhouse.Named("after_training_set_id", q.after.TrainingSetID),
		clickhouse.Named("after_split", q.after.Split),
		clickhouse.Named("max_rows", q.limit),
	}
}

// evaluations reads evaluations of a tenant by model, the newest first.
func evaluations(ctx context.Context, db *warehouse.DB, tenant string, q *evaluationQuery) (found []*flywheelv1.Evaluation, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read evaluations: %w", err)
		}
	}()
	rows, err := db.Conn().Query(ctx, evaluationsSQL, q.arguments(tenant)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		e := new(flywheelv1.Evaluation)
		var at time.Time
		var s scoreColumns
		err := rows.Scan(&e.Model, &at, &e.TrainingSetId, &e.Split, &e.Unknown, &s.language, &s.rows, &s.missing, &s.exact, &s.prefix,
			&s.similarity.value, &s.similarity.low, &s.similarity.high, &s.common.value, &s.common.low, &s.common.high, &s.chars)
		if err != nil {
			return nil, err
		}
		e.EvaluatedAt = timestamppb.New(at)
		all := s.messages()
		if len(all) == 0 {
			return nil, fmt.Errorf("evaluation of %s at %s: it has no scores", e.GetModel(), at)
		}
		e.Total, e.Languages = all[0], all[1:]
		found = append(found, e)
	}
	return found, rows.Err()
}

// storeEvaluation writes an evaluation.
func (s *Service) storeEvaluation(ctx context.Context, tenant string, e *flywheelv1.Evaluation) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store evaluation: %w", err)
		}
	}()
	batch, err := s.db.Conn().PrepareBatch(ctx, `INSERT INTO evaluations (tenant, model, evaluated_at, training_set_id, split, unknown,
		scores.language, scores.rows, scores.missing, scores.exact, scores.prefix,
		scores.edit_similarity, scores.edit_similarity_low, scores.edit_similarity_high,
		scores.common_prefix, scores.common_prefix_low, scores.common_prefix_high, scores.mean_predicted_chars)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	var c scoreColumns
	c.add(e.GetTotal())
	for _, language := range e.GetLanguages() {
		c.add(language)
	}
	err = batch.Append(tenant, e.GetModel(), e.GetEvaluatedAt().AsTime(), e.GetTrainingSetId(), e.GetSplit(), e.GetUnknown(),
		c.language, c.rows, c.missing, c.exact, c.prefix,
		c.similarity.value, c.similarity.low, c.similarity.high, c.common.value, c.common.low, c.common.high, c.chars)
	if err != nil {
		return err
	}
	return batch.Send()
}

// scoreColumns are the scores of an evaluation as they are stored: those of all rows, then
// those of each language.
type scoreColumns struct {
	language                     []string
	rows, missing, exact, prefix []uint64
	similarity, common           meanColumns
	chars                        []float64
}

type meanColumns struct{ value, low, high []float64 }

func (c *scoreColumns) add(s *flywheelv1.EvaluationScores) {
	c.language = append(c.language, s.GetLanguage())
	c.rows = append(c.rows, s.GetRows())
	c.missing = append(c.missing, s.GetMissing())
	c.exact = append(c.exact, s.GetExactMatch().GetNumerator())
	c.prefix = append(c.prefix, s.GetPrefixMatch().GetNumerator())
	c.similarity.add(s.GetEditSimilarity())
	c.common.add(s.GetCommonPrefix())
	c.chars = append(c.chars, s.GetMeanPredictedChars())
}

func (c *meanColumns) add(m *flywheelv1.MeanScore) {
	c.value = append(c.value, m.GetValue())
	c.low = append(c.low, m.GetLow())
	c.high = append(c.high, m.GetHigh())
}

func (c *meanColumns) message(i int) *flywheelv1.MeanScore {
	return &flywheelv1.MeanScore{Value: c.value[i], Low: c.low[i], High: c.high[i]}
}

func (c *scoreColumns) messages() []*flywheelv1.EvaluationScores {
	var all []*flywheelv1.EvaluationScores
	for i, rows := range c.rows {
		all = append(all, &flywheelv1.EvaluationScores{
			Language: c.language[i], Rows: rows, Missing: c.missing[i],
			ExactMatch: share(c.exact[i], rows), PrefixMatch: share(c.prefix[i], rows),
			EditSimilarity: c.similarity.message(i), CommonPrefix: c.common.message(i),
			MeanPredictedChars: c.chars[i],
		})
	}
	return all
}

func share(n, of uint64) *flywheelv1.Rate {
	low, high := stats.Wilson(n, of)
	return &flywheelv1.Rate{Numerator: n, Denominator: of, Value: stats.Proportion(n, of), Low: low, High: high}
}
