package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/yirifi/flywheel/collector"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// runLog measures the publishing of records as large as the collector's groups, in both
// lanes, with as many under way. The log and what publishes are one process.
func runLog(ctx context.Context, o options) (r report, err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return report{}, fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return new(system).measureFloor(func() (loadResult, usage, error) {
		return runSelf(ctx, "log, fed in its process", "publish", "--dir="+dir, "--interactions="+strconv.Itoa(o.interactions))
	})
}

// publishMain is the process of [runLog].
func publishMain(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder of the log")
	interactions := flags.Int("interactions", 0, "interactions to publish")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t, err := newTape(flywheelFormat(), interactionsPerSession)
	if err != nil {
		return err
	}
	made := makeRecords(t)
	cfg := eventlog.DefaultConfig()
	cfg.Dir = *dir
	log, err := eventlog.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return timed(*interactions*eventsPer, func(took func(time.Duration)) error {
		group, ctx := errgroup.WithContext(ctx)
		for _, lane := range eventlog.Lanes() {
			r, published := made[lane], new(atomic.Int64)
			want := int64(*interactions) * int64(len(r.all)) / int64(r.interactions)
			for range collector.DefaultConfig().MaxInFlight {
				group.Go(func() error {
					for n := published.Add(1); n <= want; n = published.Add(1) {
						began := time.Now()
						if err := log.Publish(ctx, lane, r.all[n%int64(len(r.all))]); err != nil {
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

// records are records of one lane.
type records struct {
	all [][]byte
	// interactions is of how many interactions they have the events of the lane.
	interactions int
}

// recordInteractions is of how many interactions records are made.
const recordInteractions = 10_000

// makeRecords makes records of each lane as the collector does.
func makeRecords(t *tape) (made [2]records) {
	const perBatch = 32
	c := newCursor(t, 0, 1, interactionsPerSession)
	var open [2][]byte
	for n := 0; n < recordInteractions; n += perBatch {
		for _, lane := range eventlog.Lanes() {
			made[lane].interactions += perBatch
		}
		for lane, events := range c.lanes(perBatch * eventsPer) {
			open[lane], _ = appendFramed(open[lane], 1, events)
			if r := &made[lane]; len(open[lane]) >= collector.DefaultConfig().GroupBytes {
				r.all, open[lane] = append(r.all, open[lane]), nil
			}
		}
	}
	return made
}

// lanes makes a batch of the next n events, and parts it by lane.
func (c *cursor) lanes(n int) (lanes [2][]byte) {
	at := c.at
	batch := c.next(nil, n)
	begin := protowire.SizeTag(1) + protowire.SizeBytes(len(uuid.UUID{}))
	id, batch := batch[:begin], batch[begin:]
	for lane := range lanes {
		lanes[lane] = append(lanes[lane], id...)
	}
	for range n {
		m := &c.tape.marks[at]
		size := c.tape.marks[at+1].start - m.start
		lanes[m.lane] = append(lanes[m.lane], batch[:size]...)
		batch = batch[size:]
		at = (at + 1) % c.tape.events()
	}
	return lanes
}
