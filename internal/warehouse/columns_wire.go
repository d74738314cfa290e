package warehouse

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
)

// wire is a column of a block in the form of ClickHouse's native protocol. Uncompressed,
// it is written from where it is.
type wire struct {
	// kind is the column's type; once ClickHouse has told its own, as that names it.
	kind proto.ColumnType
	rows int
	// nulls has one byte per row where the type is Nullable.
	nulls, data []byte
}

// text appends a String.
func (w *wire) text(s string) {
	if len(s) < 0x80 {
		w.data = append(w.data, byte(len(s)))
	} else {
		w.data = binary.AppendUvarint(w.data, uint64(len(s)))
	}
	w.data = append(w.data, s...)
}

// id appends a UUID: two numbers of 64 bits.
func (w *wire) id(id uuid.UUID) {
	w.data = binary.LittleEndian.AppendUint64(w.data, binary.BigEndian.Uint64(id[:8]))
	w.data = binary.LittleEndian.AppendUint64(w.data, binary.BigEndian.Uint64(id[8:]))
}

// number appends a number of width bytes, at most 8.
func (w *wire) number(n uint64, width int) {
	end := len(w.data) + width
	w.data = binary.LittleEndian.AppendUint64(w.data, n)[:end]
}

// null says whether the next value is none. The value itself follows all the same.
func (w *wire) null(none bool) {
	if none {
		w.nulls = append(w.nulls, 1)
	} else {
		w.nulls = append(w.nulls, 0)
	}
}

// Type is the type that ClickHouse is told.
func (w *wire) Type() proto.ColumnType { return w.kind }

// Rows is the number of values.
func (w *wire) Rows() int { return w.rows }

// EncodeColumn appends the column to a buffer, from which it is compressed.
func (w *wire) EncodeColumn(b *proto.Buffer) {
	b.PutRaw(w.nulls)
	b.PutRaw(w.data)
}

// WriteColumn hands the column out to be written.
func (w *wire) WriteColumn(out *proto.Writer) {
	if len(w.nulls) > 0 {
		out.ChainWrite(w.nulls)
	}
	out.ChainWrite(w.data)
}

// Infer takes the type that the column has in ClickHouse, or says that it is of another
// form.
func (w *wire) Infer(told proto.ColumnType) error {
	if formOf(told) != formOf(w.kind) {
		return fmt.Errorf("the table has a column of type %s where %s is needed", told, w.kind)
	}
	w.kind = told
	return nil
}

// formOf is the type as which values are sent: that inside of a SimpleAggregateFunction,
// and the number of an Enum8.
func formOf(kind proto.ColumnType) string {
	form := string(kind)
	if inner, ok := strings.CutPrefix(form, "SimpleAggregateFunction("); ok {
		_, form, _ = strings.Cut(strings.TrimSuffix(inner, ")"), ", ")
	}
	if strings.HasPrefix(form, "Enum8(") {
		return "Int8"
	}
	return form
}
