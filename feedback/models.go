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

// registered returns those of the rows' models that are registered, by name; nothing
// unless the query groups by model.
func (f *Feedback) registered(ctx context.Context, tenant string, q query, rows []*counted) (map[string]*flywheelv1.Model, error) {
	at := slices.Index(q.groupBy, modelColumn)
	if at < 0 {
		return nil, nil
	}
	names := map[string]bool{}
	for _, row := range rows {
		names[row.group[at]] = true
	}
	models := map[string]*flywheelv1.Model{}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(names)), maxFilterValues) {
		found, err := registry.Models(ctx, f.db, tenant, registry.ModelQuery{Names: some, Limit: len(some)})
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			models[m.GetModel()] = m
		}
	}
	return models, nil
}
