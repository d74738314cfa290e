package verify

import (
	"cmp"
	"iter"

	"github.com/yirifi/flywheel/internal/warehouse"
)

// interaction is an interaction, merged from its partial rows: of warehouse.Interaction
// those fields that interactions.sql selects.
type interaction struct {
	item

	dimensions *dimensions
	user       string
	warehouse.Interaction
}

// raise keeps the larger value.
func raise[T cmp.Ordered](kept *T, value T) { *kept = max(*kept, value) }

// merge reads a partial row, after its item, into the interaction.
func (i *interaction) merge(r *row, seen combinations) error {
	i.dimensions = seen.merge(i.dimensions, seen.of(r.texts(len(dimensionNames))))
	raise(&i.user, r.text())
	raise(&i.OutputChars, r.u32())
	raise(&i.ShownAt, r.i64())
	raise(&i.ShownLatencyUs, r.u64())
	raise(&i.NotShownAt, r.i64())
	raise(&i.VisibleUs, r.u64())
	raise(&i.OutcomeRank, r.u64())
	raise(&i.AcceptedChars, r.u32())
	for delay := range i.RetainedChars {
		raise(&i.RetainedChars[delay], r.u32())
	}
	for delay := range i.FourGram {
		raise(&i.FourGram[delay], r.u16())
	}
	i.BranchChanged |= r.u8()
	raise(&i.ThumbRank, r.u64())
	raise(&i.RatingRank, r.u64())
	i.TaskResults |= r.u32()
	return r.end()
}

// opportunity is an opportunity, merged from its partial rows.
type opportunity struct {
	item

	dimensions             *dimensions
	user                   string
	requested, notProduced int64
}

func (o *opportunity) merge(r *row, seen combinations) error {
	o.dimensions = seen.merge(o.dimensions, seen.of(r.texts(len(dimensionNames))))
	raise(&o.user, r.text())
	raise(&o.requested, r.i64())
	raise(&o.notProduced, r.i64())
	return r.end()
}

// mergeInteractions merges partial rows that come in the order of the table. What it
// yields is valid until the next.
func mergeInteractions(rows iter.Seq2[row, error], seen combinations) iter.Seq2[*interaction, error] {
	none := seen.of(join(make([]string, len(dimensionNames))...))
	return merged(rows, func(i *interaction, key item) { *i = interaction{item: key, dimensions: none} },
		func(i *interaction, r *row) error { return i.merge(r, seen) })
}

// mergeOpportunities is like mergeInteractions.
func mergeOpportunities(rows iter.Seq2[row, error], seen combinations) iter.Seq2[*opportunity, error] {
	none := seen.of(join(make([]string, len(dimensionNames))...))
	return merged(rows, func(o *opportunity, key item) { *o = opportunity{item: key, dimensions: none} },
		func(o *opportunity, r *row) error { return o.merge(r, seen) })
}

// merged merges adjacent rows of one item: begin starts one, merge adds a row.
func merged[T any](rows iter.Seq2[row, error], begin func(*T, item), merge func(*T, *row) error) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		var one T
		var key item
		some := false
		for r, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			next := r.item()
			if !some || next != key {
				if some && !key.before(next) {
					yield(nil, errOrder)
					return
				}
				if some && !yield(&one, nil) {
					return
				}
				some, key = true, next
				begin(&one, next)
			}
			if err := merge(&one, &r); err != nil {
				yield(nil, err)
				return
			}
		}
		if some {
			yield(&one, nil)
		}
	}
}
