package warehouse

import (
	"io"
	"slices"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
)

const (
	// chunkRows is how many rows are taken apart at a time: few enough to stay in the
	// processor's cache while one column after the other is filled from them.
	chunkRows = 32
	// blockBytes is the size at which a block is sent: all that an insert takes of memory
	// besides its rows. ClickHouse puts the blocks of an insert together again.
	blockBytes = 1 << 20
)

// Table is rows of one table, which [DB.Insert] sends column by column. It implements
// [Columns]. Its buffers are reused after Reset; it is not for concurrent use.
type Table[R any] struct {
	columns []*column[R]
	parts   [][]R
	rows    int
}

// Append adds rows. They are not copied: they stay as they are until Reset.
func (t *Table[R]) Append(rows []R) {
	t.parts = append(t.parts, rows)
	t.rows += len(rows)
}

// Reset removes the rows.
func (t *Table[R]) Reset() {
	clear(t.parts)
	t.parts, t.rows = t.parts[:0], 0
}

// Len is the number of rows.
func (t *Table[R]) Len() int { return t.rows }

// Blocks implements [Columns].
func (t *Table[R]) Blocks() (proto.Input, func() error) {
	var used []*column[R]
	var input proto.Input
	for i, c := range t.columns {
		c.reset()
		if i == 0 || slices.ContainsFunc(t.parts, c.used) { // rows have at least one column
			used = append(used, c)
			input = append(input, proto.InputColumn{Name: c.name, Data: &c.wire})
		}
	}
	part, row := 0, 0 // the next one
	return input, func() error {
		for _, c := range used {
			c.reset()
		}
		for size := 0; size < blockBytes && part < len(t.parts); {
			rows := t.parts[part][row:]
			rows = rows[:min(chunkRows, len(rows))]
			for _, c := range used {
				size += c.add(rows)
			}
			if row += len(rows); row == len(t.parts[part]) {
				part, row = part+1, 0
			}
		}
		if used[0].wire.rows == 0 {
			return io.EOF
		}
		return nil
	}
}

// column is one column of rows of type R.
type column[R any] struct {
	name string
	// used reports that some row has another value than the type's zero, which is what
	// ClickHouse fills in by itself.
	used func(rows []R) bool
	// fill appends the values of rows.
	fill func(w *wire, rows []R)
	wire wire
}

// add appends the values of rows and returns by how many bytes the column grew.
func (c *column[R]) add(rows []R) int {
	before := len(c.wire.data)
	c.fill(&c.wire, rows)
	c.wire.rows += len(rows)
	return len(c.wire.data) - before
}

func (c *column[R]) reset() {
	c.wire.rows, c.wire.nulls, c.wire.data = 0, c.wire.nulls[:0], c.wire.data[:0]
}

// newColumn declares a column by its name in ClickHouse, its type there without
// SimpleAggregateFunction, its place in a row, and how values are appended.
func newColumn[R any, T comparable](name string, kind proto.ColumnType, get func(*R) T, fill func(w *wire, rows []R)) *column[R] {
	var zero T
	return &column[R]{
		name: name,
		used: func(rows []R) bool {
			for i := range rows {
				if get(&rows[i]) != zero {
					return true
				}
			}
			return false
		},
		fill: fill,
		wire: wire{kind: kind},
	}
}

// newText declares a String.
func newText[R any](name string, get func(*R) string) *column[R] {
	return newColumn(name, proto.ColumnTypeString, get, func(w *wire, rows []R) {
		for i := range rows {
			w.text(get(&rows[i]))
		}
	})
}

// newID declares a UUID.
func newID[R any](name string, get func(*R) uuid.UUID) *column[R] {
	return newColumn(name, proto.ColumnTypeUUID, get, func(w *wire, rows []R) {
		for i := range rows {
			w.id(get(&rows[i]))
		}
	})
}

// newNumber declares whole numbers of width bytes.
func newNumber[R any, T uint8 | uint16 | uint32 | uint64 | int8 | int64](name string, kind proto.ColumnType, width int, get func(*R) T) *column[R] {
	return newColumn(name, kind, get, func(w *wire, rows []R) {
		for i := range rows {
			w.number(uint64(get(&rows[i])), width)
		}
	})
}

// newNullable declares numbers of width bytes that may be absent; bits is one as it is sent.
func newNullable[R, T any](name string, kind proto.ColumnType, width int, get func(*R) *T, bits func(T) uint32) *column[R] {
	return newColumn(name, kind, get, func(w *wire, rows []R) {
		for i := range rows {
			value := get(&rows[i])
			w.null(value == nil)
			if value == nil {
				value = new(T)
			}
			w.number(uint64(bits(*value)), width)
		}
	})
}

func newUint8[R any](name string, get func(*R) uint8) *column[R] {
	return newNumber(name, proto.ColumnTypeUInt8, 1, get)
}

func newUint16[R any](name string, get func(*R) uint16) *column[R] {
	return newNumber(name, proto.ColumnTypeUInt16, 2, get)
}

func newUint32[R any](name string, get func(*R) uint32) *column[R] {
	return newNumber(name, proto.ColumnTypeUInt32, 4, get)
}

func newUint64[R any](name string, get func(*R) uint64) *column[R] {
	return newNumber(name, proto.ColumnTypeUInt64, 8, get)
}

// newMicros declares a time in microseconds since the Unix epoch.
func newMicros[R any](name string, get func(*R) int64) *column[R] {
	return newNumber(name, "DateTime64(6, 'UTC')", 8, get)
}

// newMillis declares a time in milliseconds since the Unix epoch.
func newMillis[R any](name string, get func(*R) int64) *column[R] {
	return newNumber(name, "DateTime64(3, 'UTC')", 8, get)
}

// TimeOf is the timestamp inside a UUIDv7 (RFC 9562), which places rows in
// partitions and in the order of their table.
func TimeOf(id uuid.UUID) time.Time { return time.UnixMilli(MillisOf(id)) }

// MillisOf is the timestamp inside a UUIDv7 in milliseconds since the Unix epoch.
func MillisOf(id uuid.UUID) int64 {
	return int64(id[0])<<40 | int64(id[1])<<32 | int64(id[2])<<24 | int64(id[3])<<16 | int64(id[4])<<8 | int64(id[5])
}
