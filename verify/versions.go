package verify

import (
	"context"
	"fmt"
)

// version is how far a bucket is settled: it is when settled equals due.
type version struct{ due, settled uint64 }

func (v version) String() string { return fmt.Sprintf("%d of %d", v.settled, v.due) }

// settledVersions are the versions in a part.
type settledVersions struct {
	minutes map[bucket]version
	// rollups are the versions at which longer buckets were settled, sums what they
	// should be: the sums over their minutes.
	rollups, sums map[place]uint64
}

func (vs settledVersions) of(table string, at bucket) version {
	switch table {
	case tableRates:
		return vs.minutes[at]
	case tableUserDays: // a view of the hours
		return version{}
	default:
		return version{due: vs.sums[place{table, at}], settled: vs.rollups[place{table, at}]}
	}
}

// settledVersions reads the versions of a part's buckets.
func (v *Verifier) settledVersions(ctx context.Context, one part) (vs settledVersions, err error) {
	vs = settledVersions{minutes: map[bucket]version{}, sums: map[place]uint64{}}
	for r, err := range query(ctx, v.conn(), versionsSQL, one.parameters()) {
		if err == nil {
			at := bucket{r.text(), r.i64()}
			this := version{due: r.u64(), settled: r.u64()}
			vs.minutes[at] = this
			vs.sums[place{tableHours, at.in(hour)}] += this.settled
			vs.sums[place{tableUserHours, at.in(hour)}] += this.due
			err = r.end()
		}
		if err != nil {
			return vs, fmt.Errorf("read versions: %w", err)
		}
	}
	vs.rollups, err = v.rollupVersions(ctx, one)
	return vs, err
}

func (v *Verifier) rollupVersions(ctx context.Context, one part) (map[place]uint64, error) {
	all := map[place]uint64{}
	for r, err := range query(ctx, v.conn(), rollupVersionsSQL, one.parameters()) {
		if err == nil {
			table := r.text()
			all[place{table, bucket{r.text(), r.i64()}}] = r.u64()
			err = r.end()
		}
		if err != nil {
			return nil, fmt.Errorf("read versions: %w", err)
		}
	}
	return all, nil
}
