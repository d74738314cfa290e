package feedback

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

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

// A catalog that rates are joined with is read again when it is older than catalogAge, while
// one up to twice as old, a second, is used: waiting for it, also once a second, would be
// seen in the slowest of a hundred queries.
const catalogAge = time.Second / 2

// catalog is the first models of a tenant that are registered; more says whether there
// are others.
type catalog struct {
	models []*flywheelv1.Model
	more   bool
	readAt time.Time
}

// catalogs are the catalogs read lately, by tenant.
type catalogs struct {
	mu       sync.Mutex
	byTenant map[string]catalog
	changes  int // how often catalogs were forgotten because models changed
}

// get returns the catalog that is kept and its age, which is beyond use when there is none;
// changes is for put.
func (c *catalogs) get(tenant string) (found catalog, age time.Duration, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found = c.byTenant[tenant]
	return found, time.Since(found.readAt), c.changes
}

// put keeps a catalog, unless models changed while it was read, and forgets those that
// are too old.
func (c *catalogs) put(tenant string, read catalog, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.byTenant, func(_ string, old catalog) bool { return time.Since(old.readAt) >= 2*catalogAge })
	if changes == c.changes {
		c.byTenant[tenant] = read
	}
}

// ModelsChanged makes the next rates of the tenant read its models again. A change made
// by another process shows after a second.
func (f *Feedback) ModelsChanged(tenant string) {
	f.catalogs.mu.Lock()
	defer f.catalogs.mu.Unlock()
	f.catalogs.changes++
	delete(f.catalogs.byTenant, tenant)
}

func (f *Feedback) catalog(ctx context.Context, tenant string) (catalog, error) {
	kept, age, changes := f.catalogs.get(tenant)
	if age < catalogAge {
		return kept, nil
	}
	// Who comes after a change of models joins no read from before it.
	query := fmt.Sprint(changes, " ", tenant)
	read := func(ctx context.Context) (catalog, error) { return f.readCatalog(ctx, tenant, changes) }
	if age < 2*catalogAge {
		f.models.begin(ctx, query, read)
		return kept, nil
	}
	return f.models.run(ctx, query, read)
}

// readCatalog reads a catalog and keeps it, unless models have changed since.
func (f *Feedback) readCatalog(ctx context.Context, tenant string, changes int) (catalog, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.QueryTimeout)
	defer cancel()
	began := time.Now()
	found, err := registry.Models(ctx, f.db, tenant, registry.ModelQuery{Limit: maxFilterValues + 1})
	if err != nil {
		return catalog{}, err
	}
	read := catalog{models: found, more: len(found) > maxFilterValues, readAt: began}
	f.catalogs.put(tenant, read, changes)
	return read, nil
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
