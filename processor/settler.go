package processor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/yirifi/flywheel/internal/warehouse"
)

const (
	// overlap is how far before its last complete look the settler looks for
	// touched minutes: more than clocks differ and inserts take.
	overlap = 10 * time.Minute
	// tickBudget is after how long a tick leaves the rest to the next one, so that
	// the minutes that matter most are not kept waiting by the others.
	tickBudget = 2 * time.Second
	// maxRounds bounds how often one call settles minutes again that another
	// settler keeps writing to.
	maxRounds = 10
)

// Settler keeps rates equal to a recount of the interactions and opportunities:
// it recounts every minute that received data, whole, as a new version.
//
// Settling is idempotent. Several settlers may run at once, anywhere, and one may
// be killed at any point: the rates become the same. They follow the data by about
// the interval, as long as the machine can keep up; beyond that the minutes that
// are the most out of date for their age come first. See settle/DESIGN.md.
//
// The methods of one Settler must not run concurrently.
type Settler struct {
	cfg SettlerConfig
	db  *warehouse.DB
	log *slog.Logger

	batch batchSize
	// caughtUp is when the last look began after which nothing was left; all is
	// when the last look at all minutes began. Wall clock times: a machine may
	// have slept in between.
	caughtUp, all time.Time
}

// NewSettler returns a settler of the rates in db, which it does not own.
func NewSettler(cfg SettlerConfig, db *warehouse.DB, log *slog.Logger) (*Settler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure settler: %w", err)
	}
	return &Settler{cfg: cfg, db: db, log: log, batch: firstBatch}, nil
}

// Run settles again and again until ctx ends, and then returns nil. What goes wrong
// is logged and tried again after a pause.
func (s *Settler) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		settled, err := s.tick(ctx)
		took := time.Since(began)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.ErrorContext(ctx, "cannot settle rates, will try again", slog.Any("error", err))
		case settled > 0:
			s.log.DebugContext(ctx, "settled rates", slog.Int("minutes", settled), slog.Duration("took", took))
		}
		timer.Reset(pause(s.cfg.Interval, took))
	}
}

// SettleOnce settles every minute whose data is newer than its rates when it is
// called, and returns how many it settled. On an error, what was settled until
// then stays settled.
func (s *Settler) SettleOnce(ctx context.Context) (settled int, err error) {
	dirty, err := s.lookAtAll(ctx)
	if err != nil {
		return 0, err
	}
	settled, _, err = s.settle(ctx, dirty, time.Time{})
	return settled, err
}

// tick settles what received data lately, and once per FullInterval what is left
// of all time.
func (s *Settler) tick(ctx context.Context) (int, error) {
	began := time.Now().Round(0)
	look := s.lookLately
	if began.Sub(s.all) >= s.cfg.FullInterval {
		look = s.lookAtAll
	}
	dirty, err := look(ctx)
	if err != nil {
		return 0, err
	}
	settled, left, err := s.settle(ctx, dirty, began.Add(tickBudget))
	if err == nil && left == 0 {
		s.caughtUp = began
	}
	return settled, err
}

// lookLately finds the dirty minutes that were touched since everything was
// settled.
func (s *Settler) lookLately(ctx context.Context) ([]minute, error) {
	if s.caughtUp.IsZero() {
		return findDirty(ctx, s.db.Conn())
	}
	return findDirtyLately(ctx, s.db.Conn(), s.caughtUp.Add(-overlap))
}

// lookAtAll finds the dirty minutes of all time, and those in which a settler that
// was killed left rates of several versions.
func (s *Settler) lookAtAll(ctx context.Context) ([]minute, error) {
	began := time.Now().Round(0)
	dirty, err := findDirty(ctx, s.db.Conn())
	if err != nil {
		return nil, err
	}
	mixed, err := findMixedLately(ctx, s.db.Conn())
	if err != nil {
		return nil, err
	}
	s.all = began
	return merge(dirty, mixed), nil
}

// settle settles minutes, the most urgent first, until none is left or, when it is
// not zero, the deadline is over. At least one batch is settled.
func (s *Settler) settle(ctx context.Context, dirty []minute, deadline time.Time) (settled, left int, err error) {
	for round := 0; len(dirty) > 0 && round < maxRounds; round++ {
		sortByUrgency(dirty, time.Now())
		var again []minute
		for len(dirty) > 0 {
			if settled > 0 && !deadline.IsZero() && time.Now().After(deadline) {
				return settled, len(dirty) + len(again), nil
			}
			n := min(len(dirty), int(s.batch))
			mixed, err := s.settleBatch(ctx, dirty[:n])
			if err != nil {
				return settled, len(dirty) + len(again), err
			}
			settled, dirty, again = settled+n, dirty[n:], append(again, mixed...)
		}
		dirty = again
	}
	return settled, len(dirty), nil
}

// settleBatch recounts minutes and notes that they are settled. It returns those
// to which another settler wrote at the same time.
func (s *Settler) settleBatch(ctx context.Context, minutes []minute) (mixed []minute, err error) {
	began := time.Now()
	err = recount(ctx, s.db.Conn(), minutes, s.cfg)
	s.batch = s.batch.after(time.Since(began), err)
	if err != nil {
		return nil, err
	}
	return s.confirm(ctx, minutes)
}

// confirm notes that minutes are settled whose rates are stored. It returns those
// to which another settler wrote at the same time.
func (s *Settler) confirm(ctx context.Context, minutes []minute) (mixed []minute, err error) {
	if mixed, err = findMixed(ctx, s.db.Conn(), minutes); err != nil {
		return nil, err
	}
	return mixed, noteSettled(ctx, s.db.Conn(), minutes)
}
