package processor

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// recounter keeps a table equal to a recount of the interactions and opportunities:
// it recounts every bucket that received data, whole, as a new version.
type recounter struct {
	table table
	cfg   SettlerConfig
	conn  driver.Conn
	// rest is how long a bucket that was settled is left alone.
	rest time.Duration

	batch batchSize
	// caughtUp is when the last look began after which nothing was left; all is
	// when the last look at all buckets began. Wall clock times: a machine may
	// have slept in between.
	caughtUp, all time.Time

	stats settlerCounters
}

// newRecounter returns a recounter that has looked at nothing yet.
func newRecounter(t table, cfg SettlerConfig, conn driver.Conn, first batchSize, rest time.Duration) *recounter {
	r := &recounter{table: t, cfg: cfg, conn: conn, batch: first, rest: rest}
	r.stats.upToDate.Store(time.Now().UnixNano())
	return r
}

// progress is what came of settling dirty buckets.
type progress struct {
	settled []bucket
	// left is how many there was no time for, mixed how many others wrote to at the
	// same time: they were touched, and are dirty again.
	left, mixed int
}

// forget makes the next tick look at all buckets.
func (r *recounter) forget() { r.caughtUp = time.Time{} }

// tick settles what received data lately, and once per FullInterval what is left
// of all time. everything says which of the two.
func (r *recounter) tick(ctx context.Context) (p progress, everything bool, err error) {
	began := time.Now().Round(0)
	var dirty []bucket
	if everything = r.caughtUp.IsZero() || began.Sub(r.all) >= r.cfg.FullInterval; everything {
		dirty, _, err = r.lookAtAll(ctx)
	} else {
		dirty, err = r.table.findDirty(ctx, r.conn, r.table.touchedSince(r.caughtUp.Add(-overlap-r.rest)))
	}
	if err != nil {
		return progress{}, everything, err
	}
	dirty = slices.DeleteFunc(dirty, func(b bucket) bool { return began.Sub(b.settledAt) < r.rest })
	p, err = r.settle(ctx, dirty, began.Add(tickBudget))
	r.stats.waiting.Store(int64(p.left))
	if err == nil && p.left == 0 {
		r.caughtUp = began
		r.stats.upToDate.Store(began.UnixNano())
	}
	return p, everything, err
}

// settleAll settles every dirty bucket.
func (r *recounter) settleAll(ctx context.Context) (progress, error) {
	dirty, mixed, err := r.lookAtAll(ctx)
	if err != nil {
		return progress{}, err
	}
	p, err := r.settle(ctx, dirty, time.Time{})
	p.mixed += mixed
	return p, err
}

// lookAtAll finds the dirty buckets of all time, after touching those in which a
// settler that was killed left counts of several versions.
func (r *recounter) lookAtAll(ctx context.Context) (dirty []bucket, mixed int, err error) {
	began := time.Now().Round(0)
	if mixed, err = r.touchMixed(ctx, selection{}); err != nil {
		return nil, 0, err
	}
	if dirty, err = r.table.findDirty(ctx, r.conn, selection{}); err != nil {
		return nil, 0, err
	}
	r.all = began
	return dirty, mixed, nil
}

// settle settles buckets, the most urgent first, until none is left or, when it is
// not zero, the deadline is over. At least one batch is settled.
func (r *recounter) settle(ctx context.Context, dirty []bucket, deadline time.Time) (p progress, err error) {
	sortByUrgency(dirty, time.Now())
	for p.left = len(dirty); p.left > 0; p.left = len(dirty) - len(p.settled) {
		if len(p.settled) > 0 && over(deadline) {
			return p, nil
		}
		batch := dirty[len(p.settled):][:min(p.left, int(r.batch))]
		mixed, err := r.settleBatch(ctx, batch)
		if err != nil {
			return p, err
		}
		p.settled, p.mixed = append(p.settled, batch...), p.mixed+mixed
		r.stats.settled.Add(uint64(len(batch)))
	}
	return p, nil
}

// over reports whether a deadline, unless it is zero, has passed.
func over(deadline time.Time) bool { return !deadline.IsZero() && time.Now().After(deadline) }

// settleBatch recounts buckets and notes that they are settled. It returns how many
// another settler wrote to at the same time.
func (r *recounter) settleBatch(ctx context.Context, buckets []bucket) (mixed int, err error) {
	began := time.Now()
	err = r.table.recount(ctx, r.conn, buckets, r.cfg)
	r.batch = r.batch.after(time.Since(began), err)
	if err != nil {
		return 0, err
	}
	return r.confirm(ctx, buckets)
}

// confirm notes that buckets are settled whose counts are stored. It returns how many
// another settler wrote to at the same time.
func (r *recounter) confirm(ctx context.Context, buckets []bucket) (mixed int, err error) {
	if mixed, err = r.touchMixed(ctx, these(buckets)); err != nil {
		return 0, err
	}
	return mixed, r.table.note(ctx, r.conn, buckets)
}

// touchMixed touches those of the buckets that mix versions, and counts them.
func (r *recounter) touchMixed(ctx context.Context, which selection) (int, error) {
	mixed, err := r.table.findMixed(ctx, r.conn, which)
	if err != nil {
		return 0, err
	}
	return len(mixed), r.table.touch(ctx, r.conn, mixed)
}
