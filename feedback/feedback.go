// Package feedback answers how often the model's output was shown, accepted, hidden
// and kept. It reads the settled rates only, so that its latency depends on neither
// the traffic nor the number of events.
//
// Rates are kept per minute, hour and day. An answer is the sum over the minutes of its
// time range, whichever are read. Where minutes have expired (--keep-rates), that is no
// longer so: a range, or a time bucket, that does not begin and end at a whole hour then
// counts the whole hours in it, and of the edges nothing.
//
// Callers who ask for the same at the same time share one statement.
package feedback

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// Feedback is the feedback service. Its methods may run concurrently.
type Feedback struct {
	flywheelv1.UnimplementedFeedbackServiceServer

	cfg Config
	db  *warehouse.DB
	log *slog.Logger

	catalogs catalogs
	// rates are the queries of rates under way, models those of catalogs.
	rates  flights[[]*counted]
	models flights[catalog]
}

// New returns a feedback service of the rates in db, which it does not own.
func New(cfg Config, db *warehouse.DB, log *slog.Logger) (*Feedback, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure feedback service: %w", err)
	}
	return &Feedback{cfg: cfg, db: db, log: log, catalogs: catalogs{byTenant: map[string]catalog{}}}, nil
}

// Serve answers queries on lis, which it closes, until ctx ends and the queries in
// hand are answered. The server also has the services that others register. It must be
// called once.
func (f *Feedback) Serve(ctx context.Context, lis net.Listener, others ...func(grpc.ServiceRegistrar)) error {
	srv := rpc.NewServer(f.log, f.cfg.ServerOptions...)
	flywheelv1.RegisterFeedbackServiceServer(srv, f)
	for _, register := range others {
		register(srv)
	}
	defer f.rates.wait()
	defer f.models.wait()
	return rpc.Serve(ctx, srv, lis, f.cfg.Grace)
}

// GetRates implements [flywheelv1.FeedbackServiceServer].
func (f *Feedback) GetRates(ctx context.Context, req *flywheelv1.GetRatesRequest) (*flywheelv1.GetRatesResponse, error) {
	q, violations := newQuery(req)
	violations = append(violations, checkStages(req.GetModelStages())...)
	if err := violations.Err(); err != nil {
		return nil, err
	}
	found, err := f.ask(ctx, q, req.GetModelStages())
	if err != nil {
		return nil, err
	}
	resp := &flywheelv1.GetRatesResponse{SettledAt: settledAt(found.rows), Models: found.models}
	for _, row := range found.rows {
		resp.Rows = append(resp.Rows, row.rates())
	}
	return resp, nil
}

// GetRatesOverTime implements [flywheelv1.FeedbackServiceServer].
func (f *Feedback) GetRatesOverTime(ctx context.Context, req *flywheelv1.GetRatesOverTimeRequest) (*flywheelv1.GetRatesOverTimeResponse, error) {
	q, violations := newQuery(req)
	violations = append(violations, q.divide(req.GetBucketWidth(), f.cfg.MaxBuckets)...)
	violations = append(violations, checkStages(req.GetModelStages())...)
	if err := violations.Err(); err != nil {
		return nil, err
	}
	found, err := f.ask(ctx, q, req.GetModelStages())
	if err != nil {
		return nil, err
	}
	resp := &flywheelv1.GetRatesOverTimeResponse{SettledAt: settledAt(found.rows), Models: found.models}
	for _, row := range found.rows {
		resp.Rows = append(resp.Rows, row.ratesAt())
	}
	return resp, nil
}

// answer is what a query found.
type answer struct {
	rows []*counted
	// models are those of the rows' models that are registered.
	models map[string]*flywheelv1.Model
}

// ask runs a query, restricted to models at some stages if there are any, for the
// tenant of the call. Its errors are gRPC statuses.
func (f *Feedback) ask(ctx context.Context, q query, stages []flywheelv1.ModelStage) (answer, error) {
	tenant, err := rpc.Tenant(ctx)
	if err != nil {
		return answer{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, f.cfg.QueryTimeout)
	defer cancel()
	found, err := f.find(bounded, tenant, q, stages)
	if _, ours := status.FromError(err); !ours {
		return answer{}, f.failed(ctx, bounded, err)
	}
	return found, err
}

func (f *Feedback) find(ctx context.Context, tenant string, q query, stages []flywheelv1.ModelStage) (found answer, err error) {
	if len(stages) > 0 {
		if q, err = f.atStages(ctx, tenant, q, stages); err != nil {
			return answer{}, err
		}
	}
	at := slices.Index(q.groupBy, modelColumn)
	var registered catalog
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		found.rows, err = f.run(both, tenant, q)
		return err
	})
	if at >= 0 {
		group.Go(func() (err error) {
			registered, err = f.catalog(both, tenant)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return answer{}, err
	}
	if len(found.rows) > f.cfg.MaxRows {
		return answer{}, tooManyRows(f.cfg.MaxRows)
	}
	if at >= 0 {
		found.models, err = f.registered(ctx, tenant, registered, found.rows, at)
	}
	return found, err
}

// run runs a query, together with the callers who ask for the same meanwhile.
func (f *Feedback) run(ctx context.Context, tenant string, q query) ([]*counted, error) {
	return f.rates.run(ctx, q.key(tenant), func(ctx context.Context) ([]*counted, error) {
		return q.run(ctx, f.db.Conn(), tenant, f.cfg.MaxRows+1)
	})
}
