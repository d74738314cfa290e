package files

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 in UTC with all six digits of the microseconds.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// jsonBuffer is JSON text under construction.
type jsonBuffer struct {
	text []byte
	Flaws
}

// object appends the value i of each column as one object.
func (b *jsonBuffer) object(fields []Field, columns []Column, i int) {
	b.text = append(b.text, '{')
	first := true
	for k := range fields {
		f, c := &fields[k], &columns[k]
		if f.Omit && c.null(i) {
			continue
		}
		if !first {
			b.text = append(b.text, ',')
		}
		first = false
		b.string(f.Name)
		b.text = append(b.text, ':')
		b.value(f, c, i)
	}
	b.text = append(b.text, '}')
}

func (b *jsonBuffer) value(f *Field, c *Column, i int) {
	if c.null(i) {
		b.text = append(b.text, "null"...)
		return
	}
	switch f.Kind {
	case String:
		b.string(c.Strings[i])
	case JSON:
		b.raw(c.Strings[i])
	case Bool:
		b.text = strconv.AppendBool(b.text, c.Bools[i])
	case Int64:
		b.text = strconv.AppendInt(b.text, c.Ints[i], 10)
	case Float64:
		b.float(c.Floats[i])
	case Timestamp:
		b.text = append(b.text, '"')
		b.text = time.UnixMicro(c.micros(i)).UTC().AppendFormat(b.text, timeLayout)
		b.text = append(b.text, '"')
	case List:
		b.list(f, c, i)
	case Struct:
		b.object(f.Fields, c.Children, i)
	}
}

func (b *jsonBuffer) list(f *Field, c *Column, i int) {
	b.text = append(b.text, '[')
	from, to := c.elements(i)
	for j := from; j < to; j++ {
		if j > from {
			b.text = append(b.text, ',')
		}
		b.value(&f.Fields[0], &c.Children[0], j)
	}
	b.text = append(b.text, ']')
}

// float appends the shortest number that reads back as the same float.
func (b *jsonBuffer) float(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		b.text = append(b.text, "null"...)
		return
	}
	start := len(b.text)
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		b.text = strconv.AppendFloat(b.text, v, 'e', -1, 64)
		return
	}
	b.text = strconv.AppendFloat(b.text, v, 'f', -1, 64)
	if bytes.IndexByte(b.text[start:], '.') < 0 {
		b.text = append(b.text, '.', '0')
	}
}

// raw appends text that holds JSON, on one line.
func (b *jsonBuffer) raw(s string) {
	if s == "" {
		b.text = append(b.text, "null"...)
		return
	}
	valid, replaced := validText(s)
	buffer := bytes.NewBuffer(b.text)
	if err := json.Compact(buffer, []byte(valid)); err != nil {
		b.InvalidJSON++
		b.string(s)
		return
	}
	b.text = buffer.Bytes()
	b.InvalidUTF8 += replaced
}

// string appends a JSON string (RFC 8259): quote, backslash and control characters are
// escaped, nothing else. Bytes that are not UTF-8 become U+FFFD each.
func (b *jsonBuffer) string(s string) {
	const hex = "0123456789abcdef"
	b.text = append(b.text, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b.text = append(append(b.text, s[done:i]...), "\uFFFD"...)
				b.InvalidUTF8++
				done = i + 1
			}
			i += size
			continue
		}
		b.text = append(b.text, s[done:i]...)
		switch c {
		case '"', '\\':
			b.text = append(b.text, '\\', c)
		case '\n':
			b.text = append(b.text, '\\', 'n')
		case '\r':
			b.text = append(b.text, '\\', 'r')
		case '\t':
			b.text = append(b.text, '\\', 't')
		default:
			b.text = append(b.text, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		done = i
	}
	b.text = append(append(b.text, s[done:]...), '"')
}

// validText replaces each byte that is not UTF-8 by U+FFFD and counts them.
func validText(s string) (valid string, replaced int64) {
	if utf8.ValidString(s) {
		return s, 0
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			replaced++
		}
		i += size
	}
	return string([]rune(s)), replaced
}
