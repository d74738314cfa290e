package files

import (
	"fmt"
	"time"
)

// Batch is some rows, column by column. The caller owns its memory and may reuse it
// once [Writer.Write] has returned. Batches of a few megabytes are best.
type Batch struct {
	// Rows is how many rows there are.
	Rows int
	// Columns are the values, in the order of the schema.
	Columns []Column
	// Labels, when given, has one label for each row. Labels are counted in the
	// manifest and not written.
	Labels []string
	// Cursor is the caller's own name for the position after this batch. See
	// [Writer.Position].
	Cursor string
}

// Column is the values of one field. Exactly one slice is used, by the field's kind.
type Column struct {
	Strings []string // String, JSON; need not be valid UTF-8
	Bools   []bool
	Ints    []int64 // Int64; Timestamp in microseconds since the Unix epoch
	Floats  []float64
	Times   []time.Time // Timestamp, when Ints is nil; cut to microseconds
	// Ends is for lists: where the elements of each row end in Children[0]. A row's
	// elements begin where those of the row before end.
	Ends []int
	// Children are the values inside a list or a struct, in the order of the field's
	// Fields. Those of a struct have a value for each struct, also for null ones.
	Children []Column
	// Valid says which rows have a value; nil means all. Only for nullable fields.
	Valid []bool
}

func (c *Column) null(i int) bool { return c.Valid != nil && !c.Valid[i] }

// elements are the positions in Children[0] of a list's elements.
func (c *Column) elements(i int) (from, to int) {
	if i > 0 {
		from = c.Ends[i-1]
	}
	return from, c.Ends[i]
}

// micros is a timestamp in microseconds since the Unix epoch.
func (c *Column) micros(i int) int64 {
	if c.Ints != nil {
		return c.Ints[i]
	}
	return c.Times[i].UnixMicro()
}

// check reports the first column that does not hold the batch's rows as the schema
// says.
func (b *Batch) check(schema Schema) error {
	if len(b.Columns) != len(schema) {
		return fmt.Errorf("%d columns, the schema has %d", len(b.Columns), len(schema))
	}
	if b.Labels != nil && len(b.Labels) != b.Rows {
		return fmt.Errorf("%d labels for %d rows", len(b.Labels), b.Rows)
	}
	for i := range schema {
		if err := b.Columns[i].check(&schema[i], b.Rows); err != nil {
			return fmt.Errorf("column %s: %w", schema[i].Name, err)
		}
	}
	return nil
}

func (c *Column) check(f *Field, rows int) error {
	if c.Valid != nil && (!f.Nullable || len(c.Valid) != rows) {
		return fmt.Errorf("validity of %d of %d values, nullable: %t", len(c.Valid), rows, f.Nullable)
	}
	if got := c.length(f.Kind, rows); got != rows {
		return fmt.Errorf("%d values for %d rows", got, rows)
	}
	if f.Kind != List && f.Kind != Struct {
		return nil
	}
	if len(c.Children) != len(f.Fields) {
		return fmt.Errorf("%d children, the schema has %d", len(c.Children), len(f.Fields))
	}
	if f.Kind == List {
		end := 0
		for _, next := range c.Ends {
			if next < end {
				return fmt.Errorf("a list ends at %d, before its start %d", next, end)
			}
			end = next
		}
		rows = end
	}
	for i := range f.Fields {
		if err := c.Children[i].check(&f.Fields[i], rows); err != nil {
			return fmt.Errorf("%s: %w", f.Fields[i].Name, err)
		}
	}
	return nil
}

// length is how many values there are; structs have none of their own.
func (c *Column) length(kind Kind, rows int) int {
	switch kind {
	case String, JSON:
		return len(c.Strings)
	case Bool:
		return len(c.Bools)
	case Int64:
		return len(c.Ints)
	case Float64:
		return len(c.Floats)
	case Timestamp:
		return max(len(c.Ints), len(c.Times))
	case List:
		return len(c.Ends)
	default:
		return rows
	}
}

// addSizes adds to each size the bytes that one value takes in memory in Apache Arrow's
// layout, validity left out. Shards end by these sizes, so that it depends on the rows
// alone where they end.
func (c *Column) addSizes(f *Field, sizes []int64) {
	switch f.Kind {
	case String, JSON:
		for i := range sizes {
			sizes[i] += 4 + int64(len(c.Strings[i]))
		}
	case Bool:
		addAll(sizes, 1)
	case Struct:
		for i := range f.Fields {
			c.Children[i].addSizes(&f.Fields[i], sizes)
		}
	case List:
		addAll(sizes, 4)
		if len(sizes) == 0 {
			return
		}
		elements := make([]int64, c.Ends[len(sizes)-1])
		c.Children[0].addSizes(&f.Fields[0], elements)
		for i := range sizes {
			from, to := c.elements(i)
			for _, size := range elements[from:to] {
				sizes[i] += size
			}
		}
	default:
		addAll(sizes, 8)
	}
}

func addAll(sizes []int64, n int64) {
	for i := range sizes {
		sizes[i] += n
	}
}
