package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/collector"
	"github.com/yirifi/flywheel/feedback"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/registry"
	"github.com/yirifi/flywheel/trainset"
)

type collectorCmd struct {
	Listen string `default:"${listen}" help:"Address to take events on (gRPC)."`
	collectorSettings
	logSettings
}

// Run takes events until ctx ends and everything accepted is in the log.
func (c *collectorCmd) Run(ctx context.Context, env environment) (err error) {
	log, err := c.logSettings.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	col, err := collector.New(c.collectorSettings.config(), log, env.log)
	if err != nil {
		return usageError{err}
	}
	lis, err := listen(ctx, "listen", c.Listen)
	if err != nil {
		return err
	}
	env.log.Info("collector listens", "address", lis.Addr().String())
	return col.Serve(ctx, lis)
}

type processorCmd struct {
	Rewind time.Duration `help:"Process the log's last part again, for example after ClickHouse lost data in a power cut. Stop the other processors first. Harmless to what is there."`
	processorSettings
	logSettings
	storeSettings
}

// Run processes the log until ctx ends and what is in hand is stored.
func (c *processorCmd) Run(ctx context.Context, env environment) (err error) {
	log, err := c.logSettings.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	db, err := c.storeSettings.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if c.Rewind > 0 {
		if err := log.Rewind(ctx, c.Rewind); err != nil {
			return err
		}
	}
	run, err := c.processorSettings.build(ctx, log, db, env)
	if err != nil {
		return err
	}
	env.log.Info("processor runs")
	return run(ctx)
}

// build makes the processor and the settler, sets the ages of the tables, and returns a
// function that runs both until its context ends.
func (s processorSettings) build(ctx context.Context, log *eventlog.Log, db *warehouse.DB, env environment) (func(context.Context) error, error) {
	proc, err := processor.New(s.config(), log, db, env.log)
	if err != nil {
		return nil, usageError{err}
	}
	settler, err := processor.NewSettler(s.settler(), db, env.log)
	if err != nil {
		return nil, usageError{err}
	}
	if err := s.retain(ctx, db, settler); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return proc.Run(ctx) })
		group.Go(func() error { return settler.Run(ctx) })
		return group.Wait()
	}, nil
}

// retain sets the ages of the tables. What may expire by them is counted before.
func (s processorSettings) retain(ctx context.Context, db *warehouse.DB, settler *processor.Settler) error {
	ages := s.ages()
	if err := ages.Validate(); err != nil {
		return usageError{err}
	}
	if ages != (warehouse.Ages{}) {
		if _, err := settler.SettleOnce(ctx); err != nil {
			return err
		}
	}
	return db.Retain(ctx, ages)
}

type feedbackCmd struct {
	FeedbackListen string `default:"${feedbackListen}" help:"Address to answer queries on (gRPC)."`
	storeSettings
}

// Run answers queries until ctx ends.
func (c *feedbackCmd) Run(ctx context.Context, env environment) (err error) {
	db, err := c.storeSettings.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	serve, err := buildQueries(db, env)
	if err != nil {
		return err
	}
	lis, err := listen(ctx, "feedback-listen", c.FeedbackListen)
	if err != nil {
		return err
	}
	env.log.Info("feedback listens", "address", lis.Addr().String())
	return serve(ctx, lis)
}

// buildQueries makes the services that answer queries, feedback, registry and training
// sets, and returns a function that serves them on a listener until its context ends.
func buildQueries(db *warehouse.DB, env environment) (func(context.Context, net.Listener) error, error) {
	fb, err := feedback.New(feedback.DefaultConfig(), db, env.log)
	if err != nil {
		return nil, usageError{err}
	}
	cfg := registry.DefaultConfig()
	cfg.ModelsChanged = fb.ModelsChanged
	reg, err := registry.New(cfg, db, env.log)
	if err != nil {
		return nil, usageError{err}
	}
	making := trainset.DefaultConfig()
	making.Version = version()
	sets, err := trainset.New(making, db, env.log)
	if err != nil {
		return nil, usageError{err}
	}
	return func(ctx context.Context, lis net.Listener) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return fb.Serve(ctx, lis, reg.Register, sets.Register) })
		group.Go(func() error { return sets.Run(ctx) })
		return group.Wait()
	}, nil
}

type logCmd struct {
	NATSListen string `name:"nats-listen" default:"127.0.0.1:7422" help:"Address that collectors and processors connect to (--nats-url nats://ADDRESS)."`
	DataDir    string `type:"path" default:"${dataDir}" help:"Folder for all data."`
	logSettings
}

// Run serves the log until ctx ends.
func (c *logCmd) Run(ctx context.Context, env environment) error {
	if c.NATSURL != "" {
		return usageError{errors.New("--nats-url contradicts 'flywheel log', which is the server itself")}
	}
	cfg := c.config()
	cfg.Dir = logDir(c.DataDir)
	cfg.Listen = c.NATSListen
	log, err := eventlog.Open(ctx, cfg, env.log)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(env.stdout, "event log: %s\n", log.ServerURL()); err != nil {
		return errors.Join(err, log.Close())
	}
	<-ctx.Done()
	return log.Close()
}
