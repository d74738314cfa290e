package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

type replayLogCmd struct {
	clickHouseSettings
	natsSettings
	From   moment `placeholder:"TIME" help:"Events that the log stored from here on (RFC 3339, or how long ago: 2h). Unset: the oldest that it holds."`
	To     moment `placeholder:"TIME" help:"Events that the log stored before this. Unset: now."`
	Lane   string `enum:"outcome,trace,both" default:"both" help:"Lane to process again (${enum})."`
	Resume string `type:"path" placeholder:"FILE" help:"Keep in this file what is left to do, and go on there when it exists. It is removed at the end."`
}

// Run processes a part of the log again, beside whatever runs.
func (c *replayLogCmd) Run(ctx context.Context, env environment) (err error) {
	log, err := c.attach(ctx, c.DataDir, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	url, err := c.url()
	if err != nil {
		return err
	}
	db, err := openStore(ctx, url, "", env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	proc, err := processor.New(processor.DefaultConfig(), log, db, env.log)
	if err != nil {
		return err
	}
	left, err := c.left(ctx, log)
	if err != nil {
		return err
	}
	total := recordsOf(left)
	bar := newProgress(env.stderr, "processing again", env.log)
	for i, r := range left {
		err := proc.Replay(ctx, r, func(rest eventlog.Range) {
			left[i] = rest
			bar.set(int(total-recordsOf(left)), int(total))
			if err := c.keep(left); err != nil {
				env.log.WarnContext(ctx, "cannot note how far the log was processed", "error", err)
			}
		})
		if err != nil {
			return errors.Join(c.hint(left, env), interrupted(ctx, err), bar.finish())
		}
	}
	if err := errors.Join(bar.finish(), c.forget()); err != nil {
		return err
	}
	stats := proc.Stats()
	_, err = fmt.Fprintf(env.stdout, "Processed %d events of %d records again: %d rows stored, %d events set aside.\n",
		stats.Events, total, stats.Rows, stats.DeadLettered)
	return err
}

// hint says how to go on after an interruption.
func (c *replayLogCmd) hint(left []eventlog.Range, env environment) error {
	how := "with --resume FILE the next time would go on from there"
	if c.Resume != "" {
		how = "the same command goes on from there"
	}
	_, err := fmt.Fprintf(env.stderr, "%d records are left: %s.\n", recordsOf(left), how)
	return err
}

func recordsOf(ranges []eventlog.Range) (n uint64) {
	for _, r := range ranges {
		n += r.Records()
	}
	return n
}

// left is what there is to do: what the file says, or else the flags.
func (c *replayLogCmd) left(ctx context.Context, log *eventlog.Log) (ranges []eventlog.Range, err error) {
	if c.Resume != "" {
		data, err := os.ReadFile(c.Resume)
		if err == nil {
			err = json.Unmarshal(data, &ranges)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				err = fmt.Errorf("read what is left to do in %s: %w", c.Resume, err)
			}
			return ranges, err
		}
	}
	for _, lane := range eventlog.Lanes() {
		if c.Lane != "both" && c.Lane != lane.String() {
			continue
		}
		shards, err := log.Ranges(ctx, lane, c.From.Time, c.To.Time)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, shards...)
	}
	return ranges, c.keep(ranges)
}

// keep notes what is left to do.
func (c *replayLogCmd) keep(left []eventlog.Range) error {
	if c.Resume == "" {
		return nil
	}
	data, err := json.Marshal(left)
	if err != nil {
		return fmt.Errorf("encode what is left to do: %w", err)
	}
	return writeFile(c.Resume, append(data, '\n'))
}

func (c *replayLogCmd) forget() error {
	if c.Resume == "" {
		return nil
	}
	if err := os.Remove(c.Resume); err != nil {
		return fmt.Errorf("remove what was left to do: %w", err)
	}
	return nil
}
