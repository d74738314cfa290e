package verify

import (
	"context"
	"iter"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Widths of buckets in seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// bucket is a span of time of a tenant, by its start in Unix seconds.
type bucket struct {
	tenant string
	start  int64
}

// in returns the longer bucket of so many seconds that a bucket is part of.
func (b bucket) in(width int64) bucket { return bucket{b.tenant, b.start - b.start%width} }

// tally is counts by bucket and key. A bucket without keys had rows that do not count.
type tally map[bucket]map[string]*counts

func (t tally) at(b bucket) map[string]*counts {
	if t[b] == nil {
		t[b] = map[string]*counts{}
	}
	return t[b]
}

// add adds the counts of one tally to another's, by longer buckets.
func (t tally) add(other tally, width int64) {
	for b, all := range other {
		into := t.at(b.in(width))
		for key, c := range all {
			countsAt(into, key).add(c)
		}
	}
}

func countsAt(all map[string]*counts, key string) *counts {
	c := all[key]
	if c == nil {
		c = &counts{}
		all[key] = c
	}
	return c
}

// recount is a part of the raw rows, counted.
type recount struct {
	// minutes is by dimensions, userHours by arm and user.
	minutes, userHours          tally
	interactions, opportunities uint64
	signals                     uint64
	// wrong are the differences in training_signals, by minute.
	wrong map[bucket]*finding
}

// recountPart counts the raw rows of a part, and compares their labels and rewards.
func (v *Verifier) recountPart(ctx context.Context, p part) (*recount, error) {
	rc := &recount{minutes: tally{}, userHours: tally{}, wrong: map[bucket]*finding{}}
	seen := combinations{}
	count := rc.counter()
	next, stop := iter.Pull2(query(ctx, v.conn(), signalsSQL, append(p.parameters(), clickhouse.Named("definitions", v.versions()))))
	defer stop()
	stored := &signals{next: next, into: rc}
	for i, err := range mergeInteractions(query(ctx, v.conn(), interactionsSQL, p.parameters()), seen) {
		if err != nil {
			return nil, err
		}
		rc.interactions++
		inMinute, ofUser := count(i.item, i.dimensions, i.user)
		inMinute.countInteraction(i, v.limits)
		ofUser.countInteraction(i, v.limits)
		if err := stored.compare(i, v.definitions); err != nil {
			return nil, err
		}
	}
	if err := stored.finish(); err != nil {
		return nil, err
	}
	for o, err := range mergeOpportunities(query(ctx, v.conn(), opportunitiesSQL, p.parameters()), seen) {
		if err != nil {
			return nil, err
		}
		rc.opportunities++
		inMinute, ofUser := count(o.item, o.dimensions, o.user)
		if o.requested > 0 {
			inMinute.countOpportunity(o.notProduced <= 0)
			ofUser.countOpportunity(o.notProduced <= 0)
		}
	}
	return rc, nil
}

// counter returns a function that finds the counts of an item. Items of one minute
// come together.
func (rc *recount) counter() func(item, *dimensions, string) (inMinute, ofUser *counts) {
	var last bucket
	var byDimensions, byUser map[string]*counts
	return func(i item, d *dimensions, user string) (*counts, *counts) {
		if at := i.minute(); at != last || byUser == nil {
			last = at
			byDimensions, byUser = rc.minutes.at(at), rc.userHours.at(at.in(hour))
		}
		return countsAt(byDimensions, d.key), countsAt(byUser, d.arm(user))
	}
}
