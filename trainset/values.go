package trainset

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/yirifi/flywheel/trainset/files"
)

// newValue returns how a field is read.
func newValue(f files.Field) value {
	switch f.Kind {
	case files.String, files.JSON:
		return &textValue{nullable: f.Nullable}
	case files.Bool:
		return new(boolValue)
	case files.Int64:
		if f.Nullable {
			return newNullableInt()
		}
		return &intValue{cast: "toInt64"}
	case files.Timestamp:
		return &intValue{cast: "toUnixTimestamp64Micro"}
	case files.Float64:
		return new(floatValue)
	case files.List:
		return newListValue(f.Fields[0])
	default:
		panic(fmt.Sprintf("no column for a %s", f.Kind)) // the schemas are ours
	}
}

// textValue is a string; where it is nullable, an empty one is none.
type textValue struct {
	nullable bool
	data     proto.ColStr
}

func (v *textValue) expression(column string) string { return "toString(" + column + ")" }
func (v *textValue) column() proto.ColResult         { return &v.data }

func (v *textValue) take(c *files.Column, _ int) {
	c.Strings = stringsOf(&v.data, c.Strings)
	if !v.nullable {
		return
	}
	c.Valid = c.Valid[:0]
	for _, s := range c.Strings {
		c.Valid = append(c.Valid, s != "")
	}
}

type boolValue struct{ data proto.ColBool }

func (v *boolValue) expression(column string) string { return "toBool(" + column + ")" }
func (v *boolValue) column() proto.ColResult         { return &v.data }
func (v *boolValue) take(c *files.Column, _ int)     { c.Bools = v.data }

type intValue struct {
	cast string
	data proto.ColInt64
}

func (v *intValue) expression(column string) string {
	if v.cast == "toUnixTimestamp64Micro" {
		return "toUnixTimestamp64Micro(toDateTime64(" + column + ", 6, 'UTC'))"
	}
	return v.cast + "(" + column + ")"
}
func (v *intValue) column() proto.ColResult     { return &v.data }
func (v *intValue) take(c *files.Column, _ int) { c.Ints = v.data }

type floatValue struct{ data proto.ColFloat64 }

func (v *floatValue) expression(column string) string { return "toFloat64(" + column + ")" }
func (v *floatValue) column() proto.ColResult         { return &v.data }
func (v *floatValue) take(c *files.Column, _ int)     { c.Floats = v.data }

// nullableInt is a number that may be missing.
type nullableInt struct {
	data proto.ColInt64
	null *proto.ColNullable[int64]
}

func newNullableInt() *nullableInt {
	v := new(nullableInt)
	v.null = proto.NewColNullable[int64](&v.data)
	return v
}

func (v *nullableInt) expression(column string) string {
	return "CAST(" + column + ", 'Nullable(Int64)')"
}
func (v *nullableInt) column() proto.ColResult { return v.null }

func (v *nullableInt) take(c *files.Column, _ int) {
	c.Ints, c.Valid = v.data, c.Valid[:0]
	for _, null := range v.null.Nulls {
		c.Valid = append(c.Valid, null == 0)
	}
}

// listValue is an array of values of one kind.
type listValue struct {
	cast    string
	offsets *proto.ColUInt64
	data    proto.ColResult
	element func(c *files.Column)
}

func newListValue(f files.Field) *listValue {
	switch f.Kind {
	case files.String:
		data := new(proto.ColStr)
		array := proto.NewArray[string](data)
		return &listValue{"toString", &array.Offsets, array, func(c *files.Column) { c.Strings = stringsOf(data, c.Strings) }}
	case files.Int64:
		data := new(proto.ColInt64)
		array := proto.NewArray[int64](data)
		return &listValue{"toInt64", &array.Offsets, array, func(c *files.Column) { c.Ints = *data }}
	case files.Float64:
		data := new(proto.ColFloat64)
		array := proto.NewArray[float64](data)
		return &listValue{"toFloat64", &array.Offsets, array, func(c *files.Column) { c.Floats = *data }}
	case files.Bool:
		data := new(proto.ColBool)
		array := proto.NewArray[bool](data)
		return &listValue{"toBool", &array.Offsets, array, func(c *files.Column) { c.Bools = *data }}
	default:
		panic(fmt.Sprintf("no column for a list of %s", f.Kind)) // the schemas are ours
	}
}

func (v *listValue) expression(column string) string {
	return "arrayMap(x -> " + v.cast + "(x), " + column + ")"
}
func (v *listValue) column() proto.ColResult { return v.data }

func (v *listValue) take(c *files.Column, rows int) {
	c.Ends = c.Ends[:0]
	for i := range rows {
		c.Ends = append(c.Ends, int((*v.offsets)[i]))
	}
	if c.Children == nil {
		c.Children = make([]files.Column, 1)
	}
	v.element(&c.Children[0])
}
