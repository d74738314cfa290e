package processor

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
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
	// maxRounds bounds how often one call settles again what another settler keeps
	// writing to.
	maxRounds = 10
)

// Settler keeps rates equal to a recount of the interactions and opportunities: it
// recounts every minute, and for the rates of users every hour, that received data,
// whole, as a new version, and sums minutes to hours and days.
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

	minutes, users *recounter
}

// NewSettler returns a settler of the rates in db, which it does not own.
func NewSettler(cfg SettlerConfig, db *warehouse.DB, log *slog.Logger) (*Settler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure settler: %w", err)
	}
	return &Settler{
		cfg: cfg, db: db, log: log,
		minutes: newRecounter(minuteRates(), cfg, db.Conn(), firstBatch, 0),
		users:   newRecounter(userRates(), cfg, db.Conn(), 1, cfg.UserInterval),
	}, nil
}

// Run settles again and again until ctx ends, and then returns nil. What goes wrong
// is logged and tried again after a pause.
func (s *Settler) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() {
		s.repeat(ctx, minuteRates().Name, s.tick, func(took time.Duration) time.Duration { return pause(s.cfg.Interval, took) })
	})
	loops.Go(func() {
		s.repeat(ctx, userRates().Name, s.tickUsers, func(took time.Duration) time.Duration { return userPause(s.cfg.UserInterval, took) })
	})
	loops.Wait()
	return nil
}

// repeat calls tick again and again until ctx ends.
func (s *Settler) repeat(ctx context.Context, table string, tick func(context.Context) (int, error), pause func(took time.Duration) time.Duration) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	log := s.log.With(slog.String("table", table))
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		settled, err := tick(ctx)
		took := time.Since(began)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.ErrorContext(ctx, "cannot settle rates, will try again", slog.Any("error", err))
		case settled > 0:
			if s.cfg.Settled != nil {
				s.cfg.Settled(table, took)
			}
			log.DebugContext(ctx, "settled rates", slog.Int("buckets", settled), slog.Duration("took", took))
		}
		timer.Reset(pause(took))
	}
}

// tick settles minutes that received data, and the hours and days they are part of.
func (s *Settler) tick(ctx context.Context) (int, error) {
	deadline := time.Now().Add(tickBudget)
	done, everything, err := s.minutes.tick(ctx)
	left := 0
	if err == nil {
		left, err = rollUp(ctx, s.db, done.settled, everything, deadline)
	}
	if err != nil || left > 0 {
		// Some minutes may be settled and their hours not.
		s.minutes.forget()
	}
	return len(done.settled), err
}

// tickUsers settles the users' rates of hours that received data.
func (s *Settler) tickUsers(ctx context.Context) (int, error) {
	done, _, err := s.users.tick(ctx)
	return len(done.settled), err
}

// SettleOnce settles everything whose data is newer than its rates when it is called,
// and returns how many minutes it settled. On an error, what was settled until then
// stays settled.
func (s *Settler) SettleOnce(ctx context.Context) (settled int, err error) {
	for range maxRounds {
		minutes, err := s.minutes.settleAll(ctx)
		settled += len(minutes.settled)
		if err != nil {
			return settled, err
		}
		if _, err := rollUp(ctx, s.db, nil, true, time.Time{}); err != nil {
			return settled, err
		}
		users, err := s.users.settleAll(ctx)
		if err != nil || minutes.mixed+users.mixed == 0 {
			return settled, err
		}
	}
	return settled, nil
}
