package verify

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// workers is how many parts are counted at a time: ClickHouse works for one while this
// process counts the other.
const workers = 2

// place is a bucket of a table.
type place struct {
	table string
	bucket
}

// finding is why a bucket has to be looked at again.
type finding struct {
	// version is what was settled, out of what there was to settle.
	version   string
	unsettled bool
	first     []Difference
	count     int
}

// maxNoted is how many differences of one bucket are kept.
const maxNoted = 100

func (f *finding) add(d Difference) {
	if f.count++; len(f.first) < maxNoted {
		f.first = append(f.first, d)
	}
}

// same reports whether nothing has changed from one look to the next.
func (f *finding) same(other *finding) bool {
	return f.version == other.version && f.count == other.count && slices.Equal(f.first, other.first)
}

// pass is what one look at a scope has found.
type pass struct {
	v *Verifier
	scope

	mu                                                     sync.Mutex
	findings                                               map[place]*finding
	interactions, opportunities, minutes, signals, expired uint64
	// days and userDays are the sums of the recounts; settled what the settled versions
	// of each day's minutes add up to.
	days, userDays tally
	settled        map[bucket]uint64
}

// pass looks at a scope once.
func (v *Verifier) pass(ctx context.Context, s scope) (*pass, error) {
	p := &pass{v: v, scope: s, findings: map[place]*finding{}, days: tally{}, userDays: tally{}, settled: map[bucket]uint64{}}
	parts, err := v.parts(ctx, s)
	if err != nil || len(parts) == 0 {
		return p, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, one := range parts {
		group.Go(func() error {
			defer v.advance(one.rows)
			return p.look(groupCtx, one)
		})
	}
	if err := group.Wait(); err != nil || !s.whole() {
		return p, err
	}
	return p, p.lookAtDays(ctx, part{first: parts[0].first, last: parts[len(parts)-1].last, from: s.from, to: s.to})
}

// look recounts a part and compares everything that is stored of it.
func (p *pass) look(ctx context.Context, one part) error {
	rc, err := p.v.recountPart(ctx, one)
	if err != nil {
		return err
	}
	hours := tally{}
	hours.add(rc.minutes, hour)
	comparisons := []*comparison{
		{table: tableRates, want: rc.minutes, width: minute},
		{table: tableHours, want: hours, width: hour},
		{table: tableUserHours, want: rc.userHours, width: hour},
	}
	for _, c := range comparisons {
		if err := c.read(ctx, p.v.conn(), one); err != nil {
			return err
		}
	}
	// Last: what is settled now was settled before or while the rest was read.
	vs, err := p.v.settledVersions(ctx, one)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range comparisons {
		p.note(c, vs)
	}
	for at, f := range rc.wrong {
		f.version = vs.minutes[at].String()
		p.findings[place{tableSignals, at}] = f
	}
	p.days.add(hours, day)
	p.userDays.add(rc.userHours, day)
	for at, version := range vs.minutes {
		p.settled[at.in(day)] += version.settled
	}
	p.interactions += rc.interactions
	p.opportunities += rc.opportunities
	p.signals += rc.signals
	return nil
}

// lookAtDays compares the sums of whole days.
func (p *pass) lookAtDays(ctx context.Context, all part) error {
	rollups, err := p.v.rollupVersions(ctx, all)
	if err != nil {
		return err
	}
	vs := settledVersions{rollups: rollups, sums: map[place]uint64{}}
	for at, sum := range p.settled {
		vs.sums[place{tableDays, at}] = sum
	}
	for _, c := range []*comparison{{table: tableDays, want: p.days, width: day}, {table: tableUserDays, want: p.userDays, width: day}} {
		if err := c.read(ctx, p.v.conn(), all); err != nil {
			return err
		}
		p.note(c, vs)
	}
	return nil
}

// note adds what a comparison finds.
func (p *pass) note(c *comparison, vs settledVersions) {
	for _, at := range c.buckets(vs) {
		_, raw := c.want[at]
		if !raw && p.gone {
			if c.table == tableRates {
				p.expired++
			}
			continue
		}
		if c.table == tableRates {
			p.minutes++
		}
		version := vs.of(c.table, at)
		f := &finding{version: version.String(), unsettled: version.due != version.settled}
		c.compare(at, f)
		if f.unsettled && f.count == 0 {
			f.add(Difference{Table: c.table, Key: c.describe(at, ""), Column: "version", Stored: fmt.Sprint(version.settled), Recounted: fmt.Sprint(version.due)})
		}
		if f.count > 0 {
			p.findings[place{c.table, at}] = f
		}
	}
}
