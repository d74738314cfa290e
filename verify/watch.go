package verify

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// maxPending is how many buckets are watched at most before the next day.
	maxPending = 1000
	// maxChanges is how often a bucket may change before it counts as in flux.
	maxChanges = 5
	// longestPause is the longest pause between two looks: about a settling interval.
	longestPause = 2 * time.Second
)

// watch looks again at buckets in which something was found, until that is gone, or
// stays, or keeps changing.
type watch struct {
	v       *Verifier
	report  *Report
	pending map[place]*pending
}

// pending is a bucket that is watched.
type pending struct {
	*finding

	since   time.Time
	changes int
	gone    bool
}

// add begins to watch the buckets of a day's findings.
func (w *watch) add(findings map[place]*finding, d dayScope) {
	for at, f := range findings {
		w.pending[at] = &pending{finding: f, since: time.Now(), gone: d.gone}
	}
}

// settle watches until nothing is pending, or there are enough differences.
func (w *watch) settle(ctx context.Context) error {
	for len(w.pending) > 0 && !w.report.Partial {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(w.v.cfg.Wait/3+time.Millisecond, longestPause)):
		}
		for _, s := range w.scopes() {
			began := time.Now()
			again, err := w.v.pass(ctx, s)
			if err != nil {
				return err
			}
			w.compare(s, again.findings, began)
		}
	}
	return nil
}

// scopes are what to look at again: days as a whole where a day is pending, else the
// hours between the first and the last pending one of a day.
func (w *watch) scopes() []scope {
	type tenantDay struct {
		bucket
		gone bool
	}
	all := map[tenantDay]scope{}
	for at, p := range w.pending {
		of := tenantDay{at.in(day), p.gone}
		from, to := at.in(hour).start, at.in(hour).start+hour
		if span(at.table) == "days" {
			from, to = at.start, at.start+day
		}
		s, found := all[of]
		if !found {
			s = scope{tenant: at.tenant, from: from, to: to, gone: p.gone}
		}
		s.from, s.to = min(s.from, from), max(s.to, to)
		all[of] = s
	}
	return slices.SortedFunc(maps.Values(all), func(a, b scope) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.tenant, b.tenant))
	})
}

// compare decides about the pending buckets of a scope that was looked at again.
func (w *watch) compare(s scope, findings map[place]*finding, now time.Time) {
	for _, at := range w.sorted() {
		p := w.pending[at]
		if at.tenant != s.tenant || at.start < s.from || at.start >= s.to {
			continue
		}
		f := findings[at]
		switch {
		case f == nil:
			delete(w.pending, at)
		case !p.same(f):
			p.finding, p.since = f, now
			if p.changes++; p.changes >= maxChanges {
				w.report.InFlux[at.table]++
				delete(w.pending, at)
			}
		case now.Sub(p.since) >= w.v.cfg.Wait:
			w.differ(p.finding)
			delete(w.pending, at)
		}
	}
}

// differ reports the differences of a bucket.
func (w *watch) differ(f *finding) {
	room := w.v.cfg.MaxDifferences - len(w.report.Differences)
	w.report.Differences = append(w.report.Differences, f.first[:min(room, len(f.first))]...)
	if f.count > room {
		w.report.Partial = true
	}
}

// sorted are the pending buckets, minutes before their sums.
func (w *watch) sorted() []place {
	order := []string{tableRates, tableSignals, tableHours, tableDays, tableUserHours, tableUserDays}
	return slices.SortedFunc(maps.Keys(w.pending), func(a, b place) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.table), slices.Index(order, b.table)),
			cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.start, b.start))
	})
}
