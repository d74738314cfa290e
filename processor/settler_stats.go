package processor

import (
	"sync/atomic"
	"time"
)

// SettlerStats is how far a settler is with one table of rates.
type SettlerStats struct {
	// Table is "rates", by the minute, or "user_rate_hours".
	Table string
	// Settled is how many buckets were recounted since the settler was made.
	Settled uint64
	// Waiting is how many buckets the last look left for the next one.
	Waiting int64
	// UpToDate is when the last look began that left nothing; before any, when the
	// settler was made. All that was touched before it is settled, but for buckets that
	// rest ([SettlerConfig.UserInterval]): no touched bucket waits for longer than since
	// then.
	UpToDate time.Time
}

type settlerCounters struct {
	settled  atomic.Uint64
	waiting  atomic.Int64
	upToDate atomic.Int64 // Unix nanoseconds
}

// Stats returns the state of each table. It may be called at any time, concurrently
// with the other methods.
func (s *Settler) Stats() []SettlerStats {
	var all []SettlerStats
	for _, r := range []*recounter{s.minutes, s.users} {
		all = append(all, SettlerStats{
			Table:    r.table.Name,
			Settled:  r.stats.settled.Load(),
			Waiting:  r.stats.waiting.Load(),
			UpToDate: time.Unix(0, r.stats.upToDate.Load()),
		})
	}
	return all
}
