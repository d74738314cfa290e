package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/yirifi/flywheel/internal/eventlog"
)

type deadLetterCmd struct {
	List   deadLetterListCmd   `cmd:"" help:"List dead letters, the oldest first, or count them by reason."`
	Show   deadLetterShowCmd   `cmd:"" help:"Show one dead letter with its events."`
	Replay deadLetterReplayCmd `cmd:"" help:"Process dead letters again, once the cause is mended. Needs numbers, a filter or --all."`
	Purge  deadLetterPurgeCmd  `cmd:"" help:"Delete dead letters for good. Needs a filter or --all."`
}

// deadLetterSettings say whose dead letters they are.
type deadLetterSettings struct {
	natsSettings
	DataDir string `type:"path" default:"${dataDir}" help:"Data folder of a running 'flywheel up'."`
}

// with does something with the log.
func (s deadLetterSettings) with(ctx context.Context, env environment, do func(*eventlog.Log) error) (err error) {
	log, err := s.attach(ctx, s.DataDir, env.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return interrupted(ctx, do(log))
}

// deadLetterFilter selects dead letters; all of its conditions must hold.
type deadLetterFilter struct {
	Tenant string `help:"Only those of this tenant."`
	Lane   string `enum:"outcome,trace,both" default:"both" help:"Only those of this lane (${enum})."`
	Reason string `placeholder:"TEXT" help:"Only those with this text in their reason, in any case."`
	From   moment `placeholder:"TIME" help:"Only those set aside from here on (RFC 3339, or how long ago: 2h)."`
	To     moment `placeholder:"TIME" help:"Only those set aside before this."`
}

const bothLanes = "both"

// given reports whether there is any condition.
func (f deadLetterFilter) given() bool {
	return f.Tenant != "" || f.Lane != bothLanes || f.Reason != "" || !f.From.IsZero() || !f.To.IsZero()
}

func (f deadLetterFilter) matches(d eventlog.DeadLetter) bool {
	return (f.Tenant == "" || d.Tenant == f.Tenant) &&
		(f.Lane == bothLanes || d.Lane.String() == f.Lane) &&
		strings.Contains(strings.ToLower(d.Reason), strings.ToLower(f.Reason)) &&
		(f.From.IsZero() || !d.Time.Before(f.From.Time)) &&
		(f.To.IsZero() || d.Time.Before(f.To.Time))
}

// matching yields the letters that the filter lets pass.
func (f deadLetterFilter) matching(ctx context.Context, log *eventlog.Log) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		for letter, err := range log.DeadLetters(ctx) {
			if (err != nil || f.matches(letter)) && !yield(letter, err) {
				return
			}
		}
	}
}

// numbered yields the letters of numbers, in the order given.
func numbered(ctx context.Context, log *eventlog.Log, numbers []uint64) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		for _, number := range numbers {
			letter, err := log.DeadLetterAt(ctx, number)
			if !yield(letter, err) || err != nil {
				return
			}
		}
	}
}

// letters is how many letters there are, in words.
func letters(n int) string {
	if n == 1 {
		return "1 dead letter"
	}
	return fmt.Sprintf("%d dead letters", n)
}
