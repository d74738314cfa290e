package processor

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// Processor moves events from the log into ClickHouse as rows.
//
// A record of the log is acknowledged when ClickHouse has confirmed the rows of all
// its events, or the log the dead letters of those that can never be stored, and not
// before. A processor that dies leaves its records to others, or to its successor,
// who store them again, which changes nothing: rows merge idempotently. Any number of
// processors may run at once, anywhere; they share the records and no state.
type Processor struct {
	cfg   Config
	log   *eventlog.Log
	db    *warehouse.DB
	slog  *slog.Logger
	stats *counters
}

// New returns a processor between log and db, neither of which it owns.
func New(cfg Config, log *eventlog.Log, db *warehouse.DB, logger *slog.Logger) (*Processor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure processor: %w", err)
	}
	return &Processor{cfg: cfg, log: log, db: db, slog: logger, stats: newCounters()}, nil
}

// Run processes until ctx ends, and returns nil once what is in hand is stored and
// acknowledged, or given back to the log when that takes longer than Grace. Failures
// of the log or of ClickHouse are logged and outlasted.
func (p *Processor) Run(ctx context.Context) error {
	// Writing outlives ctx by Grace.
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var lanes, others sync.WaitGroup
	for _, which := range eventlog.Lanes() {
		l := newLane(p, which)
		lanes.Go(func() { l.run(ctx, writing) })
	}
	others.Go(func() { p.trim(ctx) })
	others.Go(func() {
		<-ctx.Done()
		select {
		case <-time.After(p.cfg.Grace):
			stop()
		case <-writing.Done():
		}
	})
	lanes.Wait()
	stop()
	others.Wait()
	return nil
}

// trim frees processed records until ctx ends.
func (p *Processor) trim(ctx context.Context) {
	tick := time.NewTicker(p.cfg.TrimInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := p.log.Trim(ctx); err != nil && ctx.Err() == nil {
			p.slog.WarnContext(ctx, "cannot free processed records of the event log", slog.Any("error", err))
		}
	}
}

// retry attempts until it succeeds, fails for good (see [warehouse.Permanent]), or
// ctx ends, whose error it then returns.
func (p *Processor) retry(ctx context.Context, attempt func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = p.cfg.RetryMin, p.cfg.RetryMax
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := attempt()
		if warehouse.Permanent(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, after time.Duration) {
		p.stats.retries.Add(1)
		p.slog.WarnContext(ctx, "cannot store events yet, will try again", slog.Any("error", err), slog.Duration("after", after))
	}))
	return err
}
