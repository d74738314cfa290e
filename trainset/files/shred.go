package files

import (
	"unsafe"

	"github.com/parquet-go/parquet-go"
)

// leafValues is how many values are handed to a column at a time.
const leafValues = 1024

// leaf takes one Parquet column out of the rows: values with repetition and definition
// levels, as in "Dremel: Interactive Analysis of Web-Scale Datasets" (Melnik et al.,
// 2010).
type leaf struct {
	column   int    // in the schema
	path     []step // from the schema's column down to the value
	values   []parquet.Value
	replaced int64
}

// step is a field on the way to a leaf.
type step struct {
	kind  Kind
	child int // the next step's place among a struct's fields
	lists int // how many lists there are down to here, this one included
}

// leavesOf lists the leaves in the order of the Parquet columns.
func leavesOf(schema Schema) []leaf {
	var leaves []leaf
	for i := range schema {
		for _, path := range pathsOf(&schema[i], 0) {
			leaves = append(leaves, leaf{column: i, path: path})
		}
	}
	return leaves
}

func pathsOf(f *Field, lists int) [][]step {
	if f.Kind == List {
		lists++
	}
	here := step{kind: f.Kind, lists: lists}
	if f.Kind != List && f.Kind != Struct {
		return [][]step{{here}}
	}
	var paths [][]step
	for i := range f.Fields {
		here.child = i
		for _, rest := range pathsOf(&f.Fields[i], lists) {
			paths = append(paths, append([]step{here}, rest...))
		}
	}
	return paths
}

// write adds rows of a column of the schema to w.
func (l *leaf) write(w *parquet.ColumnWriter, c *Column, from, to int) error {
	for i := from; i < to; i++ {
		l.put(0, c, i, 0, 0)
		if len(l.values) < leafValues && i+1 < to {
			continue
		}
		if _, err := w.WriteRowValues(l.values); err != nil {
			return err
		}
		clear(l.values) // they refer to the caller's strings
		l.values = l.values[:0]
	}
	return nil
}

// put adds the value i of the column at a step of the path, with all that is below it.
func (l *leaf) put(k int, c *Column, i, repetition, definition int) {
	at := &l.path[k]
	if c.null(i) {
		l.add(parquet.Value{}, repetition, definition)
		return
	}
	definition++ // every field is optional
	switch at.kind {
	case List:
		from, to := c.elements(i)
		if from == to {
			l.add(parquet.Value{}, repetition, definition)
		}
		for j := from; j < to; j++ {
			l.put(k+1, &c.Children[0], j, repetition, definition+1)
			repetition = at.lists
		}
	case Struct:
		l.put(k+1, &c.Children[at.child], i, repetition, definition)
	default:
		l.add(l.value(at.kind, c, i), repetition, definition)
	}
}

func (l *leaf) add(v parquet.Value, repetition, definition int) {
	l.values = append(l.values, v.Level(repetition, definition, 0))
}

func (l *leaf) value(kind Kind, c *Column, i int) parquet.Value {
	switch kind {
	case Bool:
		return parquet.BooleanValue(c.Bools[i])
	case Int64:
		return parquet.Int64Value(c.Ints[i])
	case Timestamp:
		return parquet.Int64Value(c.micros(i))
	case Float64:
		return parquet.DoubleValue(c.Floats[i])
	default:
		text, replaced := validText(c.Strings[i])
		l.replaced += replaced
		// The writer copies what it keeps and changes nothing.
		return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(text), len(text)))
	}
}
