package feedback

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/registry"
)

// modelColumn is the column of rates that holds Dimensions.model.
const modelColumn = "model"

// checkStages returns what is wrong with the stages of a request.
func checkStages(stages []flywheelv1.ModelStage) (wrong rpc.Violations) {
	for i, stage := range stages {
		if _, known := flywheelv1.ModelStage_name[int32(stage)]; !known || stage == flywheelv1.ModelStage_MODEL_STAGE_UNSPECIFIED {
			wrong.Add(fmt.Sprintf("model_stages[%d]", i), "%d is not a stage", stage)
		}
	}
	return wrong
}

// atStages returns the query restricted to the models that are registered at the stages.
func (f *Feedback) atStages(ctx context.Context, tenant string, q query, stages []flywheelv1.ModelStage) (query, error) {
	found, err := registry.Models(ctx, f.db, tenant, registry.ModelQuery{Stages: stages, Limit: maxFilterValues + 1})
	if err != nil {
		return q, err
	}
	if len(found) > maxFilterValues {
		return q, status.Errorf(codes.ResourceExhausted, "more than %d models are at these stages: filter by model instead", maxFilterValues)
	}
	names := []string{}
	for _, m := range found {
		names = append(names, m.GetModel())
	}
	q.filters = append(slices.Clip(q.filters), filter{column: modelColumn, values: names})
	return q, nil
}

// catalog is the first models of a tenant that are registered; more says whether there
// are others.
type catalog struct {
	models []*flywheelv1.Model
	more   bool
}

func (f *Feedback) catalog(ctx context.Context, tenant string) (catalog, error) {
	found, err := registry.Models(ctx, f.db, tenant, registry.ModelQuery{Limit: maxFilterValues + 1})
	return catalog{models: found, more: len(found) > maxFilterValues}, err
}

// registered returns those of the rows' models that are registered, by name. The first
// of them are in the catalog already. at is where the rows' groups have the model.
func (f *Feedback) registered(ctx context.Context, tenant string, c catalog, rows []*counted, at int) (map[string]*flywheelv1.Model, error) {
	names := map[string]bool{}
	for _, row := range rows {
		names[row.group[at]] = true
	}
	found := c.models
	if c.more {
		found = nil
		for some := range slices.Chunk(slices.Sorted(maps.Keys(names)), maxFilterValues) {
			next, err := registry.Models(ctx, f.db, tenant, registry.ModelQuery{Names: some, Limit: len(some)})
			if err != nil {
				return nil, err
			}
			found = append(found, next...)
		}
	}
	models := map[string]*flywheelv1.Model{}
	for _, m := range found {
		if names[m.GetModel()] {
			models[m.GetModel()] = m
		}
	}
	return models, nil
}
