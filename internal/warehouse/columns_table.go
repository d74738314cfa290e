package warehouse

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// blockRows is how many rows are taken apart at a time: few enough to stay in the
// processor's cache while one column after the other is filled from them.
const blockRows = 32

// Table is rows of one table, held column by column for [DB.Insert]. It implements
// [Columns]. Its buffers are reused after Reset; it is not for concurrent use.
type Table[R any] struct {
	columns []column[R]
	rows    int
}

// column is one column of rows of type R.
type column[R any] interface {
	// fill appends the column's values of rows.
	fill(rows []R)
	// unused reports that all values are the type's zero.
	unused() bool
	header() string
	values() any
	reset()
}

// Append adds rows. Strings are not copied: they stay valid until Reset.
func (t *Table[R]) Append(rows []R) {
	for block := range slices.Chunk(rows, blockRows) {
		for _, c := range t.columns {
			c.fill(block)
		}
	}
	t.rows += len(rows)
}

// Reset removes the rows, and every reference to their strings.
func (t *Table[R]) Reset() {
	for _, c := range t.columns {
		c.reset()
	}
	t.rows = 0
}

// Len is the number of rows.
func (t *Table[R]) Len() int { return t.rows }

// Names are the names of the columns in which a row has a value. The others are left
// out of inserts: their values are what ClickHouse fills in by itself. Where rows use
// a third of the columns, that halves what the client spends on a row.
func (t *Table[R]) Names() []string {
	names := make([]string, 0, len(t.columns))
	for _, c := range t.columns {
		if !c.unused() {
			names = append(names, c.header())
		}
	}
	return names
}

// Values are the columns of Names. They stay valid until the next Append or Reset.
func (t *Table[R]) Values() []any {
	values := make([]any, 0, len(t.columns))
	for _, c := range t.columns {
		if !c.unused() {
			values = append(values, c.values())
		}
	}
	return values
}

// columnOf is a column whose values are of type T, which clickhouse-go takes for the
// column's type in ClickHouse.
type columnOf[R any, T comparable] struct {
	name string
	get  func(*R) T
	list []T
	used bool
}

// newColumn declares a column by its name in ClickHouse and its place in a row.
func newColumn[R any, T comparable](name string, get func(*R) T) column[R] {
	return &columnOf[R, T]{name: name, get: get}
}

func (c *columnOf[R, T]) fill(rows []R) {
	var zero T
	used := c.used
	for i := range rows {
		value := c.get(&rows[i])
		used = used || value != zero
		c.list = append(c.list, value)
	}
	c.used = used
}

func (c *columnOf[R, T]) unused() bool   { return !c.used }
func (c *columnOf[R, T]) header() string { return c.name }
func (c *columnOf[R, T]) values() any    { return c.list }

func (c *columnOf[R, T]) reset() {
	clear(c.list)
	c.list, c.used = c.list[:0], false
}

// microTime is the time that a row gives in microseconds since the Unix epoch; 0
// means none.
func microTime(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

// TimeOf is the timestamp inside a UUIDv7 (RFC 9562), which places rows in
// partitions and in the order of their table.
func TimeOf(id uuid.UUID) time.Time { return time.UnixMilli(MillisOf(id)) }

// MillisOf is the timestamp inside a UUIDv7 in milliseconds since the Unix epoch.
func MillisOf(id uuid.UUID) int64 {
	return int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
}
