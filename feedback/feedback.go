// Package feedback answers how often the model's output was shown, accepted, hidden
// and kept. It reads the settled rates only, so that its latency depends on neither
// the traffic nor the number of events.
package feedback

import (
	"context"
	"fmt"
	"log/slog"
	"net"

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
}

// New returns a feedback service of the rates in db, which it does not own.
func New(cfg Config, db *warehouse.DB, log *slog.Logger) (*Feedback, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure feedback service: %w", err)
	}
	return &Feedback{cfg: cfg, db: db, log: log}, nil
}

// Serve answers queries on lis, which it closes, until ctx ends and the queries in
// hand are answered. It must be called once.
func (f *Feedback) Serve(ctx context.Context, lis net.Listener) error {
	srv := rpc.NewServer(f.log)
	flywheelv1.RegisterFeedbackServiceServer(srv, f)
	return rpc.Serve(ctx, srv, lis, f.cfg.Grace)
}

// GetRates implements [flywheelv1.FeedbackServiceServer].
func (f *Feedback) GetRates(ctx context.Context, req *flywheelv1.GetRatesRequest) (*flywheelv1.GetRatesResponse, error) {
	q, violations := newQuery(req)
	if err := violations.err(); err != nil {
		return nil, err
	}
	found, err := f.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &flywheelv1.GetRatesResponse{SettledAt: settledAt(found)}
	for _, row := range found {
		resp.Rows = append(resp.Rows, row.rates())
	}
	return resp, nil
}

// GetRatesOverTime implements [flywheelv1.FeedbackServiceServer].
func (f *Feedback) GetRatesOverTime(ctx context.Context, req *flywheelv1.GetRatesOverTimeRequest) (*flywheelv1.GetRatesOverTimeResponse, error) {
	q, violations := newQuery(req)
	violations = append(violations, q.divide(req.GetBucketWidth(), f.cfg.MaxBuckets)...)
	if err := violations.err(); err != nil {
		return nil, err
	}
	found, err := f.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &flywheelv1.GetRatesOverTimeResponse{SettledAt: settledAt(found)}
	for _, row := range found {
		resp.Rows = append(resp.Rows, row.ratesAt())
	}
	return resp, nil
}

// ask runs a query for the tenant of the call. Its errors are gRPC statuses.
func (f *Feedback) ask(ctx context.Context, q query) ([]*counted, error) {
	tenant, err := rpc.Tenant(ctx)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, f.cfg.QueryTimeout)
	defer cancel()
	found, err := q.run(bounded, f.db.Conn(), tenant, f.cfg.MaxRows+1)
	switch {
	case err != nil:
		return nil, f.failed(ctx, bounded, err)
	case len(found) > f.cfg.MaxRows:
		return nil, tooManyRows(f.cfg.MaxRows)
	}
	return found, nil
}
