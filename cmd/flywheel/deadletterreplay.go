package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// lettersAtOnce is how many letters are requeued or removed at a time: they share the
// log's syncs.
const lettersAtOnce = 64

type deadLetterReplayCmd struct {
	deadLetterSettings
	deadLetterFilter
	Numbers []uint64 `arg:"" optional:"" help:"Numbers of letters, instead of filters."`
	All     bool     `help:"All letters."`
	DryRun  bool     `help:"Only say what would be replayed."`
}

// Run puts dead letters back into the log. Those that it has put back are removed, so
// that the same command goes on where it was stopped.
func (c *deadLetterReplayCmd) Run(ctx context.Context, env environment) error {
	if len(c.Numbers) > 0 && (c.All || c.given()) {
		return usageError{errors.New("numbers are given together with --all or a filter: give one of them")}
	}
	if len(c.Numbers) == 0 && !c.All && !c.given() {
		return usageError{errors.New("nothing says which dead letters to replay: give numbers, a filter such as --reason, or --all")}
	}
	return c.with(ctx, env, func(log *eventlog.Log) error {
		chosen := c.matching(ctx, log)
		if len(c.Numbers) > 0 {
			chosen = numbered(ctx, log, c.Numbers)
		}
		if c.DryRun {
			return c.count(env, chosen)
		}
		w := letterWork{env: env, log: log, name: "replaying dead letters", do: log.Requeue}
		done, err := w.run(ctx, chosen)
		if err != nil {
			return errors.Join(err, w.hint(done))
		}
		_, err = fmt.Fprintf(env.stdout, "Replayed %s. Events that still cannot be stored become new dead letters.\n", letters(done))
		return err
	})
}

// count says what there is to replay.
func (c *deadLetterReplayCmd) count(env environment, chosen iter.Seq2[eventlog.DeadLetter, error]) error {
	var sum reasonRow
	for letter, err := range chosen {
		if err != nil {
			return err
		}
		sum.add(rowOf(letter))
	}
	_, err := fmt.Fprintf(env.stdout, "Would replay %s with %d events, %d bytes.\n", letters(sum.Letters), sum.Events, sum.Bytes)
	return err
}

// letterWork does something with each of many letters.
type letterWork struct {
	env  environment
	log  *eventlog.Log
	name string
	do   func(context.Context, eventlog.DeadLetter) error
}

// run returns how many letters it was done with. It ends at the first error.
func (w letterWork) run(ctx context.Context, chosen iter.Seq2[eventlog.DeadLetter, error]) (int, error) {
	held, err := w.log.DeadLetterCount(ctx)
	if err != nil {
		return 0, err
	}
	bar := newProgress(w.env.stderr, w.name, w.env.log)
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lettersAtOnce)
	var reading error
	for letter, err := range chosen {
		if reading = err; err != nil || ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			err := w.do(ctx, letter)
			if err == nil {
				done.Add(1)
			}
			return err
		})
		bar.set(int(done.Load()), int(held)) //nolint:gosec // far fewer than 1<<63
	}
	err = group.Wait()
	if err == nil {
		err = reading
	}
	return int(done.Load()), errors.Join(err, bar.finish())
}

// hint says how to go on after an interruption or a failure.
func (w letterWork) hint(done int) error {
	_, err := fmt.Fprintf(w.env.stderr, "%s: %s done and removed, the same command goes on from there.\n", w.name, letters(done))
	return err
}

type deadLetterPurgeCmd struct {
	deadLetterSettings
	deadLetterFilter
	All bool `help:"All letters."`
	Yes bool `help:"Do not ask."`
}

// Run deletes dead letters.
func (c *deadLetterPurgeCmd) Run(ctx context.Context, env environment) error {
	if !c.All && !c.given() {
		return usageError{errors.New("nothing says which dead letters to delete: give a filter such as --reason, or --all")}
	}
	if !c.Yes && !isTerminal(os.Stdin) {
		return usageError{errors.New("this deletes events for good, and there is no terminal to ask on: give --yes")}
	}
	return c.with(ctx, env, func(log *eventlog.Log) error {
		if !c.Yes {
			agreed, err := c.ask(ctx, env, log, os.Stdin)
			if err != nil || !agreed {
				return err
			}
		}
		w := letterWork{env: env, log: log, name: "deleting dead letters", do: func(ctx context.Context, d eventlog.DeadLetter) error {
			return log.RemoveDeadLetter(ctx, d.Number)
		}}
		done, err := w.run(ctx, c.matching(ctx, log))
		if err != nil {
			return errors.Join(err, w.hint(done))
		}
		_, err = fmt.Fprintf(env.stdout, "Deleted %s.\n", letters(done))
		return err
	})
}

// ask asks whether to delete.
func (c *deadLetterPurgeCmd) ask(ctx context.Context, env environment, log *eventlog.Log, stdin io.Reader) (bool, error) {
	n := 0
	for _, err := range c.matching(ctx, log) {
		if err != nil {
			return false, err
		}
		n++
	}
	if _, err := fmt.Fprintf(env.stdout, "Delete %s for good? [y/N] ", letters(n)); err != nil {
		return false, err
	}
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read answer: %w", err)
	}
	return strings.EqualFold(strings.TrimSpace(answer), "y"), nil
}
