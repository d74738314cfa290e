package formats_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/yirifi/flywheel/trainset/files"
)

// sampler makes rows, the same each time.
type sampler struct {
	*rand.Rand
	missing bool // no value where none is needed
}

// texts are what writers and readers of files get wrong.
var texts = []string{
	"", " ", "null", "\"", `\`, `\u0041`, "{\"a\": [1, 2]}", "[]", "NaN", "1e5", "2024-01-01T00:00:00Z", "a,b\tc",
	"func main() {\n\tfmt.Println(\"hello\")\n}\n", "one\r\ntwo\rthree\n\n", "line\u2028paragraph\u2029next\u0085end",
	"\ufeffmark", "control \x01\x07\x08\x0b\x0c\x1b\x1f\x7f", "naïve cafe\u0301 Ωμέγα 漢字 한국어 עברית العربية", "\U0001f469\u200d\U0001f4bb \U0001d54f",
	"\ufffd\uffff\U0010ffff", "<|im_end|><|endoftext|></s>", "{{ bos_token }}{% raw %}", "trailing  ", strings.Repeat("long ", 20_000),
}

// text is a text with a number, so that few are equal.
func (s *sampler) text() string {
	text := texts[s.IntN(len(texts)-1)]
	if s.IntN(100) == 0 {
		text = texts[len(texts)-1]
	}
	return fmt.Sprintf("%s%d", text, s.IntN(1e6))
}

func (s *sampler) uuid() string {
	return fmt.Sprintf("0198%04x-%04x-7%03x-8%03x-%012x", s.IntN(1<<16), s.IntN(1<<16), s.IntN(1<<12), s.IntN(1<<12), s.IntN(1<<48))
}

// batch makes rows of a schema.
func (s *sampler) batch(schema files.Schema, rows int) *files.Batch {
	all := make([]map[string]any, rows)
	b := &files.Batch{Rows: rows, Cursor: fmt.Sprint(rows)}
	for i := range all {
		all[i] = s.row(schema)
		b.Labels = append(b.Labels, oneOf(s, "accepted", "rejected"))
	}
	b.Columns = columnsOf(schema, all)
	return b
}

// row makes the values of a schema by their names, else by their kinds.
func (s *sampler) row(schema files.Schema) map[string]any {
	row := map[string]any{}
	for _, f := range schema {
		switch {
		case f.Nullable && (s.missing || s.IntN(3) == 0):
		case f.Name == "messages":
			row[f.Name] = s.conversation(schema[1].Kind == files.JSON)
		case f.Name == "tools":
			row[f.Name] = tools
		case f.Name == "input" && f.Kind == files.Struct:
			row[f.Name] = map[string]any{"messages": []map[string]any{s.message("system"), s.message("user")}}
		case f.Name == "preferred_output" || f.Name == "non_preferred_output":
			row[f.Name] = []map[string]any{s.message("assistant")}
		default:
			row[f.Name] = s.value(f)
		}
	}
	return row
}

func (s *sampler) value(f files.Field) any {
	switch f.Kind {
	case files.Bool:
		return s.IntN(2) == 0
	case files.Int64:
		return oneOf(s, 0, 1, -1, s.Int64(), 1<<53+1)
	case files.Float64:
		return oneOf(s, 0, 1, -1, 0.1, s.Float64()*2-1, 1e-9)
	case files.Timestamp:
		return oneOf(s, 0, 1_700_000_000_123_456, s.Int64N(4e15))
	case files.List:
		list := make([]any, s.IntN(4))
		for i := range list {
			list[i] = s.value(f.Fields[0])
		}
		return list
	default:
	}
	switch {
	case strings.HasSuffix(f.Name, "_id"):
		return s.uuid()
	case f.Repeats:
		return oneOf(s, "go", "", "naïve \"one\"", "accepted")
	case f.Name == "completion" || f.Name == "output":
		return oneOf(s, s.text(), "")
	}
	return s.text()
}

func oneOf[T any](s *sampler, values ...T) T { return values[s.IntN(len(values))] }

// columnsOf turns rows into columns. What a row does not have is null.
func columnsOf(fields []files.Field, rows []map[string]any) []files.Column {
	columns := make([]files.Column, len(fields))
	for i, f := range fields {
		values := make([]any, len(rows))
		for k, row := range rows {
			values[k] = row[f.Name]
		}
		columns[i] = columnOf(f, values)
	}
	return columns
}

func columnOf(f files.Field, values []any) (c files.Column) {
	var structs []map[string]any
	var elements []any
	for _, v := range values {
		if f.Nullable {
			c.Valid = append(c.Valid, v != nil)
		}
		switch f.Kind {
		case files.Bool:
			c.Bools = append(c.Bools, orZero[bool](v))
		case files.Int64, files.Timestamp:
			c.Ints = append(c.Ints, orZero[int64](v))
		case files.Float64:
			c.Floats = append(c.Floats, orZero[float64](v))
		case files.Struct:
			structs = append(structs, orZero[map[string]any](v))
		case files.List:
			elements = append(elements, listOf(v)...)
			c.Ends = append(c.Ends, len(elements))
		default:
			c.Strings = append(c.Strings, orZero[string](v))
		}
	}
	switch f.Kind {
	case files.Struct:
		c.Children = columnsOf(f.Fields, structs)
	case files.List:
		c.Children = []files.Column{columnOf(f.Fields[0], elements)}
	default:
	}
	return c
}

func listOf(v any) []any {
	messages, ok := v.([]map[string]any)
	if !ok {
		return orZero[[]any](v)
	}
	var list []any
	for _, m := range messages {
		list = append(list, m)
	}
	return list
}

func orZero[T any](v any) (value T) {
	if v != nil {
		value = v.(T)
	}
	return value
}
