package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protowire"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
)

// insertsPerLane is how many batches of a lane are inserted at once: enough to keep both
// cores busy while one batch is being synced.
const insertsPerLane = 2

// runEngine measures inserts of ready-made columns into the tables of an engine: those to
// which the events become, in blocks as large as the processor's. Another process inserts
// them.
func runEngine(ctx context.Context, o options) (r report, err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return report{}, fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := &system{}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.startEngine(ctx, o, filepath.Join(dir, "clickhouse"), log); err != nil {
		return report{}, err
	}
	if err := s.db.Migrate(ctx); err != nil {
		return report{}, err
	}
	return s.measureFloor(func() (loadResult, usage, error) {
		return runSelf(ctx, "client of ClickHouse", "insert", "--clickhouse-url="+s.engine.DSN("flywheel"), "--interactions="+strconv.Itoa(o.interactions))
	})
}

// startEngine starts an engine and connects to it. It needs to be stopped also after an error.
func (s *system) startEngine(ctx context.Context, o options, dir string, log *slog.Logger) (err error) {
	if s.engine, err = engine.Start(ctx, engine.Config{DataDir: dir, MemoryLimit: o.engineMemory}, log); err != nil {
		return err
	}
	s.processes = append(s.processes, process{name: "ClickHouse engine", pid: s.engine.PID()})
	s.db, err = warehouse.Open(ctx, s.engine.DSN("flywheel"), log)
	return err
}

// insertMain is the process of [runEngine] that inserts.
func insertMain(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("insert", flag.ContinueOnError)
	dsn := flags.String("clickhouse-url", "", "the engine")
	interactions := flags.Int("interactions", 0, "interactions to insert")
	if err := flags.Parse(args); err != nil {
		return err
	}
	blocks, err := makeBlocks(*interactions)
	if err != nil {
		return err
	}
	db, err := warehouse.Open(ctx, *dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return timed(*interactions*eventsPer, func(took func(time.Duration)) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, lane := range blocks {
			next := make(chan block, len(lane))
			for _, b := range lane {
				next <- b
			}
			close(next)
			for range insertsPerLane {
				group.Go(func() error {
					for b := range next {
						began := time.Now()
						if err := b.insert(ctx, db); err != nil {
							return err
						}
						took(time.Since(began))
					}
					return nil
				})
			}
		}
		return group.Wait()
	})
}

// block is the columns of one of the processor's batches, by table.
type block map[string]warehouse.Columns

// insert inserts into all tables at once, as the processor does.
func (b block) insert(ctx context.Context, db *warehouse.DB) error {
	var group errgroup.Group
	for table, columns := range b {
		group.Go(func() error { return db.Insert(ctx, table, columns) })
	}
	return group.Wait()
}

// newBlock makes columns of rows.
func newBlock(rows *signal.Batch) block {
	interactions, opportunities, content, edits := warehouse.NewInteractions(), warehouse.NewOpportunities(), warehouse.NewContent(), warehouse.NewEdits()
	interactions.Append(rows.Interactions)
	opportunities.Append(rows.Opportunities)
	content.Append(rows.Content)
	edits.Append(rows.Edits)
	return block{"interactions": interactions, "opportunities": opportunities, "content": content, "edits": edits}
}

// makeBlocks makes what the events of interactions become, by lane, the way the processor
// does it.
func makeBlocks(interactions int) (blocks [2][]block, err error) {
	t, err := newTape(flywheelFormat(), interactionsPerSession)
	if err != nil {
		return blocks, err
	}
	const perBatch = 32
	cfg := processor.DefaultConfig()
	c := newCursor(t, 0, 1, interactionsPerSession)
	var rows [2]signal.Batch
	var size [2]int
	finish := func(lane int) {
		blocks[lane] = append(blocks[lane], newBlock(&rows[lane]))
		rows[lane], size[lane] = signal.Batch{}, 0
	}
	for left := interactions; left > 0; left -= perBatch {
		for lane, events := range c.lanes(min(left, perBatch) * eventsPer) {
			if err := addEvents(&rows[lane], events); err != nil {
				return blocks, err
			}
			size[lane] += len(events)
			if size[lane] >= cfg.MaxBytes || rows[lane].Rows() >= cfg.MaxRows {
				finish(lane)
			}
		}
	}
	for _, lane := range eventlog.Lanes() {
		if rows[lane].Rows() > 0 {
			finish(int(lane))
		}
	}
	return blocks, nil
}

// addEvents adds the events of a batch to rows.
func addEvents(rows *signal.Batch, batch []byte) error {
	for len(batch) > 0 {
		number, _, n := protowire.ConsumeTag(batch)
		value, m := protowire.ConsumeBytes(batch[n:])
		if n < 0 || m < 0 {
			return errors.New("a batch cannot be read")
		}
		batch = batch[n+m:]
		if number != 2 {
			continue
		}
		var event flywheelv1.Event
		if err := event.UnmarshalVTUnsafe(value); err != nil {
			return fmt.Errorf("decode event: %w", err)
		}
		if err := rows.Add(rpc.DefaultTenant, &event); err != nil {
			return fmt.Errorf("make row of event: %w", err)
		}
	}
	return nil
}
