package processor

import (
	"cmp"
	"slices"
	"time"
)

const (
	// freshness is how old rates may get where the machine allows, of the five seconds that
	// are promised: the rest is for what happens before data is in the tables.
	freshness = 3 * time.Second
	// idleShare is how many times as long as it works the settler rests.
	idleShare = 9
	// userIdleShare is that for the rates of users, for which nobody waits.
	userIdleShare = 9
	// longestUserPause bounds their rest: work ends after [tickBudget] and a statement, so
	// what took much longer waited for a ClickHouse that did not answer, and rates of
	// users must not stand still for nine times as long as that.
	longestUserPause = 20 * time.Second

	// statementTarget is how long one recount should take.
	statementTarget = 500 * time.Millisecond

	// A bucket younger than minAge is as urgent as one of that age, one older than
	// maxAge as one of that age.
	minAge = time.Minute
	maxAge = 15 * time.Minute
)

// pause returns how long to rest after a settlement that took so long: [idleShare] times
// the work, but no longer than leaves data that just missed it, which waits for its end,
// the rest and the next settlement, within [freshness]. A third of the time is left to
// others in any case, and the interval is the least.
func pause(interval, took time.Duration) time.Duration {
	return max(interval, min(idleShare*took, freshness-2*took), took/2)
}

// userPause returns how long to rest after settling the rates of users, which may be as
// old as the interval: a part of it, or [userIdleShare] times the work, at most
// [longestUserPause].
func userPause(interval, took time.Duration) time.Duration {
	return max(interval/4, min(userIdleShare*took, longestUserPause))
}

// batchSize is how many buckets a statement recounts. It follows how long
// statements take, because how many rows a bucket has is not known before.
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

// bucket is a minute, or more, of a tenant's data.
type bucket struct {
	tenant string
	start  time.Time
	// version is what the bucket's touches added up to when it was found.
	version uint64
	// settledAt is when the bucket was settled last; 1970 if never.
	settledAt time.Time
}

// urgency is how out of date a bucket is for its age: buckets that were never
// settled come first, and of the others a young one does not wait for old ones,
// which wait the longer the older they are, but not forever.
func (b bucket) urgency(now time.Time) float64 {
	age := min(max(now.Sub(b.start), minAge), maxAge)
	return float64(now.Sub(b.settledAt)) / float64(age)
}

// sortByUrgency sorts the most urgent buckets to the front.
func sortByUrgency(buckets []bucket, now time.Time) {
	slices.SortFunc(buckets, func(a, b bucket) int {
		return cmp.Or(
			cmp.Compare(b.urgency(now), a.urgency(now)),
			b.start.Compare(a.start),
			cmp.Compare(a.tenant, b.tenant),
		)
	})
}
