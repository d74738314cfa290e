package processor

import (
	"context"
	"slices"
	"time"

	"github.com/yirifi/flywheel/internal/warehouse"
)

// maxRollups is how many longer buckets one statement sums.
const maxRollups = 64

// rollUp brings the sums of rates up to date: those that minutes are part of, or all.
// Of all, it leaves the rest once the deadline, unless it is zero, is over and something
// is summed.
func rollUp(ctx context.Context, db *warehouse.DB, minutes []bucket, everything bool, deadline time.Time) (left int, err error) {
	if !everything && len(minutes) == 0 {
		return 0, nil
	}
	conn := db.Conn()
	for _, t := range rollups() {
		which := selection{}
		if !everything {
			which = these(t.around(minutes))
		}
		dirty, err := t.findDirty(ctx, conn, which)
		if err != nil {
			return left, err
		}
		slices.SortFunc(dirty, func(a, b bucket) int { return b.start.Compare(a.start) })
		for done := 0; len(dirty) > 0; done++ {
			if everything && done > 0 && over(deadline) {
				left += len(dirty)
				break
			}
			some := dirty[:min(len(dirty), maxRollups)]
			dirty = dirty[len(some):]
			if err := t.rollUp(ctx, conn, some); err != nil {
				return left, err
			}
			if err := t.note(ctx, conn, some); err != nil {
				return left, err
			}
		}
	}
	if everything && left == 0 {
		// Every look at it has to open all of its parts: the table is small, and each
		// settlement adds one.
		return 0, db.Compact(ctx, "rate_days")
	}
	return left, nil
}

// around returns the buckets that minutes are part of, once each.
func (t table) around(minutes []bucket) (found []bucket) {
	type key struct {
		tenant string
		start  int64
	}
	seen := map[key]bool{}
	for _, m := range minutes {
		start := m.start.Truncate(t.Width)
		if k := (key{m.tenant, start.Unix()}); !seen[k] {
			seen[k] = true
			found = append(found, bucket{tenant: m.tenant, start: start})
		}
	}
	return found
}
