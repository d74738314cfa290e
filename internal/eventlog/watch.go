package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	// lookInterval is the pause between looks at what is left, and at the health of the
	// embedded server.
	lookInterval = time.Second
	// lookTimeout is short: a question that is lost in a restart is asked again.
	lookTimeout    = 2 * time.Second
	maxRestartWait = time.Minute
	// probeFile stands in for a record to see whether the disk takes writes.
	probeFile = "probe"
)

// watch keeps the meters up to date while somebody publishes, and restarts an embedded
// server that has stopped storing, until ctx ends.
func (l *Log) watch(ctx context.Context) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	var cure cure
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if l.server != nil {
			cure.step(l)
		}
		if !l.busy.Swap(false) {
			continue
		}
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		if err := l.look(looking); err != nil && ctx.Err() == nil {
			l.log.Debug("cannot see how full the event log is", slog.Any("error", err))
		}
		cancel()
	}
}

// cure restarts an embedded server that has stopped storing, when the disk takes writes
// again. When that does not last, it waits longer and longer.
type cure struct {
	last time.Time
	wait time.Duration
}

func (c *cure) step(l *Log) {
	cause := l.stopped()
	now := time.Now()
	if cause == nil || now.Sub(c.last) < c.wait {
		return
	}
	if err := l.probe(); err != nil {
		l.log.Debug("the event log's disk takes no writes yet", slog.Any("error", err))
		return
	}
	l.log.Warn("event log restarts: the disk takes writes again", slog.String("folder", l.cfg.Dir), slog.Any("cause", cause))
	c.wait = min(max(2*c.wait, lookInterval), maxRestartWait)
	if now.Sub(c.last) > 2*maxRestartWait {
		c.wait = lookInterval
	}
	c.last = now
	if err := l.server.restart(); err != nil {
		l.log.Error("event log cannot restart and will try again", slog.String("folder", l.cfg.Dir), slog.Any("error", err))
		return
	}
	if cause := l.stopped(); cause == nil {
		l.log.Info("event log stores again", slog.String("folder", l.cfg.Dir))
	}
}

// stopped returns why a stream of the embedded server stores nothing, nil when all do.
func (l *Log) stopped() (cause error) {
	for _, s := range l.streams() {
		if err := l.checkStopped(s); err != nil {
			cause = err
		}
	}
	return cause
}

// probe writes and syncs as much as the largest record has, where the log is, and
// removes it. It fails when the disk has no room beyond the critical rest.
func (l *Log) probe() (err error) {
	size, free, err := diskSpace(l.cfg.Dir)
	if err != nil {
		return fmt.Errorf("read free space of %s: %w", l.cfg.Dir, err)
	}
	if least := l.cfg.reserve(size)/4 + maxPayload; size > 0 && free < least {
		return fmt.Errorf("%d bytes are free, %d are needed", free, least)
	}
	file, err := os.Create(filepath.Join(l.cfg.Dir, probeFile))
	if err != nil {
		return fmt.Errorf("create probe: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if _, err := file.Write(make([]byte, maxPayload)); err != nil {
		return fmt.Errorf("write probe: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync probe: %w", err)
	}
	return nil
}
