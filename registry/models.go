package registry

import (
	"context"
	_ "embed" // the statements
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

//go:embed models.sql
var modelsSQL string

// ModelQuery says which models to read: those for which everything that is set holds.
type ModelQuery struct {
	Names  []string
	Stages []flywheelv1.ModelStage
	// Parent and TrainingSetID may point to an empty string: no parent, no training set.
	Parent, TrainingSetID *string
	// After is the name before the first.
	After string
	// Limit is how many to read at most.
	Limit int
}

func (q ModelQuery) arguments(tenant string) []any {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	stages := []int32{}
	for _, stage := range q.Stages {
		stages = append(stages, int32(stage))
	}
	return []any{
		clickhouse.Named("tenant", tenant),
		clickhouse.Named("after", q.After),
		clickhouse.Named("names", slices.Concat([]string{}, q.Names)),
		clickhouse.Named("stages", stages),
		clickhouse.Named("any_parent", q.Parent == nil),
		clickhouse.Named("parent", text(q.Parent)),
		clickhouse.Named("any_training_set", q.TrainingSetID == nil),
		clickhouse.Named("training_set_id", text(q.TrainingSetID)),
		clickhouse.Named("max_rows", q.Limit),
	}
}

// Models reads models of a tenant, in the order of their names.
func Models(ctx context.Context, db *warehouse.DB, tenant string, q ModelQuery) (found []*flywheelv1.Model, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read models: %w", err)
		}
	}()
	rows, err := db.Conn().Query(ctx, modelsSQL, q.arguments(tenant)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		m := new(flywheelv1.Model)
		var stage int8
		var created, updated time.Time
		if err := rows.Scan(&m.Model, &m.Parent, &m.TrainingSetId, &stage, &m.Notes, &created, &updated, &m.Revision); err != nil {
			return nil, err
		}
		m.Stage = flywheelv1.ModelStage(stage)
		m.CreatedAt, m.UpdatedAt = timestamppb.New(created), timestamppb.New(updated)
		found = append(found, m)
	}
	return found, rows.Err()
}

// model reads one model, nil when there is none of that name.
func model(ctx context.Context, db *warehouse.DB, tenant, name string) (*flywheelv1.Model, error) {
	found, err := Models(ctx, db, tenant, ModelQuery{Names: []string{name}, Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// lineage reads a model, its parent and so on up to the first, each of them once.
func lineage(ctx context.Context, db *warehouse.DB, tenant, name string) ([]*flywheelv1.Model, error) {
	var line []*flywheelv1.Model
	seen := map[string]bool{"": true}
	for !seen[name] && len(line) < maxLineage {
		m, err := model(ctx, db, tenant, name)
		if err != nil {
			return nil, err
		}
		if m == nil {
			break
		}
		seen[name] = true
		line = append(line, m)
		name = m.GetParent()
	}
	return line, nil
}

// storeModel writes the state of a model: it counts once no state of the model has a
// higher revision. Two processes that write the same revision at the same time overwrite
// each other; the later one wins.
func (s *Service) storeModel(ctx context.Context, tenant string, m *flywheelv1.Model) (err error) {
	if s.cfg.ModelsChanged != nil {
		defer s.cfg.ModelsChanged(tenant)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("store model: %w", err)
		}
	}()
	batch, err := s.db.Conn().PrepareBatch(ctx,
		"INSERT INTO models (tenant, model, revision, parent, training_set_id, stage, notes, created_at, updated_at)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	err = batch.Append(tenant, m.GetModel(), m.GetRevision(), m.GetParent(), m.GetTrainingSetId(),
		int8(m.GetStage()), m.GetNotes(), m.GetCreatedAt().AsTime(), m.GetUpdatedAt().AsTime())
	if err != nil {
		return err
	}
	return batch.Send()
}
