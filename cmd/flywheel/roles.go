package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

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
	debugSettings
	traceSettings
}

// Run takes events until ctx ends and everything accepted is in the log.
func (c *collectorCmd) Run(ctx context.Context, env environment) (err error) {
	log, err := c.logSettings.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	watched, err := newWatch(ctx, "flywheel-collector", c.DebugListen, c.traceSettings, env)
	if err != nil {
		return err
	}
	watched.log(log)
	col, err := watched.collector(c.collectorSettings, log)
	if err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	lis, err := listen(ctx, "listen", c.Listen)
	if err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	env.log.Info("collector listens", "address", lis.Addr().String())
	return watched.serve(ctx, func(ctx context.Context) error { return col.Serve(ctx, lis) })
}

type processorCmd struct {
	Rewind time.Duration `help:"Process the log's last part again, for example after ClickHouse lost data in a power cut. Stop the other processors first. Harmless to what is there."`
	processorSettings
	logSettings
	storeSettings
	debugSettings
	traceSettings
}

// processorMemory is what a processor alone keeps to, unless GOMEMLIMIT says otherwise, by
// freeing what it does not use: its full batches of both lanes take two thirds of it.
const processorMemory = 320 << 20

// Run processes the log until ctx ends and what is in hand is stored.
func (c *processorCmd) Run(ctx context.Context, env environment) (err error) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(processorMemory)
	}
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
	watched, err := newWatch(ctx, "flywheel-processor", c.DebugListen, c.traceSettings, env)
	if err != nil {
		return err
	}
	watched.log(log)
	watched.store(db)
	run, err := c.processorSettings.build(ctx, log, db, watched)
	if err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	env.log.Info("processor runs")
	return watched.serve(ctx, run)
}

// build makes the processor and the settler, sets the ages of the tables, and returns a
// function that runs both until its context ends.
func (s processorSettings) build(ctx context.Context, log *eventlog.Log, db *warehouse.DB, watched *watch) (func(context.Context) error, error) {
	proc, err := watched.processor(s, log, db)
	if err != nil {
		return nil, err
	}
	settler, err := watched.settler(s, db)
	if err != nil {
		return nil, err
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
	debugSettings
	traceSettings
}

// Run answers queries until ctx ends.
func (c *feedbackCmd) Run(ctx context.Context, env environment) (err error) {
	db, err := c.storeSettings.open(ctx, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	watched, err := newWatch(ctx, "flywheel-feedback", c.DebugListen, c.traceSettings, env)
	if err != nil {
		return err
	}
	watched.store(db)
	serve, err := buildQueries(db, watched)
	if err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	lis, err := listen(ctx, "feedback-listen", c.FeedbackListen)
	if err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	env.log.Info("feedback listens", "address", lis.Addr().String())
	return watched.serve(ctx, func(ctx context.Context) error { return serve(ctx, lis) })
}

// buildQueries makes the services that answer queries, feedback, registry and training
// sets, and returns a function that serves them on a listener until its context ends.
func buildQueries(db *warehouse.DB, watched *watch) (func(context.Context, net.Listener) error, error) {
	fb, err := watched.feedback(db)
	if err != nil {
		return nil, err
	}
	cfg := registry.DefaultConfig()
	cfg.ModelsChanged = fb.ModelsChanged
	reg, err := registry.New(cfg, db, watched.env.log.With("role", "registry"))
	if err != nil {
		return nil, usageError{err}
	}
	making := trainset.DefaultConfig()
	making.Version = version()
	sets, err := trainset.New(making, db, watched.env.log.With("role", "trainset"))
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
	debugSettings
}

// Run serves the log until ctx ends.
func (c *logCmd) Run(ctx context.Context, env environment) (err error) {
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
	defer func() { err = errors.Join(err, log.Close()) }()
	watched, err := newWatch(ctx, "flywheel-log", c.DebugListen, traceSettings{}, env)
	if err != nil {
		return err
	}
	watched.log(log)
	if _, err := fmt.Fprintf(env.stdout, "event log: %s\n", log.ServerURL()); err != nil {
		return errors.Join(err, watched.close(ctx))
	}
	return watched.serve(ctx, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
}
