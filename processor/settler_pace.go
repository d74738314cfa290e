package processor

import (
	"cmp"
	"slices"
	"time"
)

const (
	// freshness is how far rates may be behind the data where the machine allows.
	freshness = 5 * time.Second
	// idleShare is how many times as long as it works the settler rests.
	idleShare = 3

	// statementTarget is how long one recount should take.
	statementTarget = 500 * time.Millisecond

	// A minute younger than minAge is as urgent as one of that age, one older than
	// maxAge as one of that age.
	minAge = time.Minute
	maxAge = 15 * time.Minute
)

// pause returns how long to rest after a settlement that took so long: the
// interval, or [idleShare] times the work where that is more. Within that, the
// next settlement ends within [freshness] if it takes as long, as long as the
// settler still rests half of the time.
func pause(interval, took time.Duration) time.Duration {
	longest := max(interval, freshness-took, took)
	return min(max(interval, idleShare*took), longest)
}

// batchSize is how many minutes a statement recounts. It follows how long
// statements take, because how many rows a minute has is not known before.
type batchSize int

const (
	firstBatch batchSize = 8
	maxBatch   batchSize = 256
)

// after returns the size of the next batch after one that took so long and ended
// with err.
func (b batchSize) after(took time.Duration, err error) batchSize {
	switch {
	case err != nil || took > 2*statementTarget:
		return max(b/2, 1)
	case took < statementTarget/2:
		return min(b*2, maxBatch)
	}
	return b
}

// minute is a minute of a tenant's data.
type minute struct {
	tenant string
	start  time.Time
	// version is what the minute's touches added up to when it was found.
	version uint64
	// settledAt is when the minute was settled last; 1970 if never.
	settledAt time.Time
}

// urgency is how out of date a minute is for its age: minutes that were never
// settled come first, and of the others a young one does not wait for old ones,
// which wait the longer the older they are, but not forever.
func (m minute) urgency(now time.Time) float64 {
	age := min(max(now.Sub(m.start), minAge), maxAge)
	return float64(now.Sub(m.settledAt)) / float64(age)
}

// sortByUrgency sorts the most urgent minutes to the front.
func sortByUrgency(minutes []minute, now time.Time) {
	slices.SortFunc(minutes, func(a, b minute) int {
		return cmp.Or(
			cmp.Compare(b.urgency(now), a.urgency(now)),
			b.start.Compare(a.start),
			cmp.Compare(a.tenant, b.tenant),
		)
	})
}

// merge returns the minutes that are in a or b, once each.
func merge(a, b []minute) []minute {
	type key struct {
		tenant string
		start  int64
	}
	seen := make(map[key]bool, len(a))
	for _, m := range a {
		seen[key{m.tenant, m.start.Unix()}] = true
	}
	for _, m := range b {
		if !seen[key{m.tenant, m.start.Unix()}] {
			a = append(a, m)
		}
	}
	return a
}
