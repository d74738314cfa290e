package processor_test

import (
	"fmt"
	"reflect"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tally is rows of counts by key.
type tally[R any] struct {
	rows   map[string]*R
	key    func(R) string
	counts func(*R) *rateCounts
}

func newRateTally() tally[rateRow] {
	return tally[rateRow]{map[string]*rateRow{}, rateKey, func(row *rateRow) *rateCounts { return &row.rateCounts }}
}

func newUserTally() tally[userRow] {
	return tally[userRow]{map[string]*userRow{}, userKey, func(row *userRow) *rateCounts { return &row.rateCounts }}
}

func rateKey(r rateRow) string {
	return fmt.Sprintf("%q %d %q", r.Tenant, r.Bucket.Unix(), r.rateDimensions)
}

func userKey(r userRow) string {
	return fmt.Sprintf("%q %d %q %q %q", r.Tenant, r.Bucket.Unix(), r.Experiment, r.Variant, r.User)
}

// at returns the counts of the row with the key of that one.
func (t tally[R]) at(row R) *rateCounts {
	key := t.key(row)
	if t.rows[key] == nil {
		*t.counts(&row) = rateCounts{}
		t.rows[key] = &row
	}
	return t.counts(t.rows[key])
}

// list returns the rows that count something.
func (t tally[R]) list() (list []R) {
	for _, row := range t.rows {
		t.counts(row).trim()
		if !cmp.Equal(*t.counts(row), rateCounts{}) {
			list = append(list, *row)
		}
	}
	return list
}

// add adds counts.
func (c *rateCounts) add(other rateCounts) {
	for i := range reflect.TypeFor[rateCounts]().NumField() {
		to := reflect.ValueOf(c).Elem().Field(i)
		switch from := reflect.ValueOf(other).Field(i).Interface().(type) {
		case uint64:
			to.SetUint(to.Uint() + from)
		case []uint64:
			for i, n := range from {
				addAt(to.Addr().Interface().(*[]uint64), i, n)
			}
		case map[uint16]uint64:
			for bucket, n := range from {
				if to.IsNil() {
					to.Set(reflect.ValueOf(map[uint16]uint64{}))
				}
				to.Interface().(map[uint16]uint64)[bucket] += n
			}
		}
	}
}

// sumRates adds minutes up to longer buckets.
func sumRates(minutes []rateRow, width time.Duration) []rateRow {
	sums := newRateTally()
	for _, row := range minutes {
		row.Bucket = row.Bucket.Truncate(width)
		sums.at(row).add(row.rateCounts)
	}
	return sums.list()
}

// sumUsers adds hours up to days.
func sumUsers(hours []userRow) []userRow {
	sums := newUserTally()
	for _, row := range hours {
		row.Bucket = row.Bucket.Truncate(24 * time.Hour)
		sums.at(row).add(row.rateCounts)
	}
	return sums.list()
}

func diffRates(want, got []rateRow) string { return diffRows(want, got, rateKey) }

func diffUsers(want, got []userRow) string { return diffRows(want, got, userKey) }

func diffRows[R any](want, got []R, key func(R) string) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(*new(R)), cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b R) bool { return key(a) < key(b) }))
}
