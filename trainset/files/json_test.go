package files_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/yirifi/flywheel/trainset/files"
)

// jsonTime is a time as JSON lines have it.
type jsonTime struct{ time.Time }

func (t *jsonTime) UnmarshalJSON(text []byte) (err error) {
	t.Time, err = time.Parse(`"2006-01-02T15:04:05.000000Z"`, string(text))
	return err
}

// writeColumn writes one column as one file and returns its text and its record.
func writeColumn(t testing.TB, format files.Format, field files.Field, column files.Column, rows int) (string, files.Shard) {
	t.Helper()
	folder, path := newFolder(t)
	field.Name = "v"
	w, err := files.Open(t.Context(), folder, files.Config{
		Schema: files.Schema{field}, Splits: []string{"all"}, Format: format, Compression: files.Uncompressed,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), "all", &files.Batch{Rows: rows, Columns: []files.Column{column}}); err != nil {
		t.Fatal(err)
	}
	manifest, err := w.Finish(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(path, manifest.Files[0].Path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text), manifest.Files[0]
}

func TestJSONValues(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		field  files.Field
		column files.Column
		want   string
		flaws  files.Flaws
	}{
		"text as it is": {files.Field{Kind: files.String}, files.Column{Strings: []string{"<a href='x'>&é\u2028"}}, "\"<a href='x'>&é\u2028\"", files.Flaws{}},
		"escapes":       {files.Field{Kind: files.String}, files.Column{Strings: []string{"\"\\\n\r\t\x00\x1f\x7f"}}, `"\"\\\n\r\t\u0000\u001f` + "\x7f\"", files.Flaws{}},
		"not UTF-8":     {files.Field{Kind: files.String}, files.Column{Strings: []string{"a\xff\xc3b"}}, "\"a\uFFFD\uFFFDb\"", files.Flaws{InvalidUTF8: 2}},
		"JSON":          {files.Field{Kind: files.JSON}, files.Column{Strings: []string{"{\"b\": [1,\n 2.50], \"a\": \"<\"}"}}, `{"b":[1,2.50],"a":"<"}`, files.Flaws{}},
		"no JSON":       {files.Field{Kind: files.JSON}, files.Column{Strings: []string{`{"a": `}}, `"{\"a\": "`, files.Flaws{InvalidJSON: 1}},
		"two JSONs":     {files.Field{Kind: files.JSON}, files.Column{Strings: []string{"1 2"}}, `"1 2"`, files.Flaws{InvalidJSON: 1}},
		"JSON not UTF-8": {files.Field{Kind: files.JSON}, files.Column{Strings: []string{"\"\xff\""}},
			"\"\uFFFD\"", files.Flaws{InvalidUTF8: 1}},
		"empty JSON":   {files.Field{Kind: files.JSON}, files.Column{Strings: []string{""}}, `null`, files.Flaws{}},
		"whole float":  {files.Field{Kind: files.Float64}, files.Column{Floats: []float64{3}}, `3.0`, files.Flaws{}},
		"zero":         {files.Field{Kind: files.Float64}, files.Column{Floats: []float64{0}}, `0.0`, files.Flaws{}},
		"large float":  {files.Field{Kind: files.Float64}, files.Column{Floats: []float64{1e300}}, `1e+300`, files.Flaws{}},
		"small float":  {files.Field{Kind: files.Float64}, files.Column{Floats: []float64{-5e-324}}, `-5e-324`, files.Flaws{}},
		"no number":    {files.Field{Kind: files.Float64}, files.Column{Floats: []float64{math.NaN()}}, `null`, files.Flaws{}},
		"infinity":     {files.Field{Kind: files.Float64}, files.Column{Floats: []float64{math.Inf(-1)}}, `null`, files.Flaws{}},
		"integer":      {files.Field{Kind: files.Int64}, files.Column{Ints: []int64{math.MinInt64}}, `-9223372036854775808`, files.Flaws{}},
		"microseconds": {files.Field{Kind: files.Timestamp}, files.Column{Ints: []int64{1_700_000_000_000_001}}, `"2023-11-14T22:13:20.000001Z"`, files.Flaws{}},
		"null":         {files.Field{Kind: files.Bool, Nullable: true}, files.Column{Bools: []bool{true}, Valid: []bool{false}}, `null`, files.Flaws{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, shard := writeColumn(t, files.JSONL, test.field, test.column, 1)
			if want := `{"v":` + test.want + "}\n"; text != want {
				t.Errorf("%s, want %s", text, want)
			}
			if shard.Flaws != test.flaws {
				t.Errorf("%+v, want %+v", shard.Flaws, test.flaws)
			}
		})
	}
}

// TestOmit checks that a name without a value is left out, also when it is the first.
func TestOmit(t *testing.T) {
	t.Parallel()
	field := files.Field{Kind: files.Struct, Fields: []files.Field{
		{Name: "a", Kind: files.Int64, Nullable: true, Omit: true}, {Name: "b", Kind: files.Int64},
	}}
	column := files.Column{Children: []files.Column{{Ints: []int64{1, 2}, Valid: []bool{false, true}}, {Ints: []int64{3, 4}}}}
	text, _ := writeColumn(t, files.JSONL, field, column, 2)
	if want := "{\"v\":{\"b\":3}}\n{\"v\":{\"a\":2,\"b\":4}}\n"; text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

// FuzzStrings checks against encoding/json and a reader of Parquet that any string comes
// back, with U+FFFD in place of each byte that is not UTF-8.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n", "\x00\x1f\x7f", "é\u2028<>&", "\xff\xfe", "a\xc3", "\xed\xa0\x80", "\U0001F600"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := string([]rune(s))
		text, shard := writeColumn(t, files.JSONL, files.Field{Kind: files.String}, files.Column{Strings: []string{s}}, 1)
		var got struct{ V string }
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.V != want {
			t.Errorf("%q: %q, %v", s, got.V, err)
		}
		if strings.Count(text, "\n") != 1 {
			t.Errorf("%q: not one line", text)
		}
		content, other := writeColumn(t, files.Parquet, files.Field{Kind: files.String}, files.Column{Strings: []string{s}}, 1)
		rows, err := parquet.Read[struct {
			V *string `parquet:"v,optional"`
		}](strings.NewReader(content), int64(len(content)))
		if err != nil || len(rows) != 1 || rows[0].V == nil || *rows[0].V != want {
			t.Errorf("%q: %v, %v", s, rows, err)
		}
		if shard.Flaws != other.Flaws {
			t.Errorf("%q: %+v and %+v", s, shard.Flaws, other.Flaws)
		}
	})
}

// FuzzJSON checks that whatever text a JSON field holds, the line is valid JSON, and the
// same value when the text is.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "{}", " [1, 2]\n", "{\"a\": \"<\"}", "1 2", "\"\xff\"", "{", "nul"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, shard := writeColumn(t, files.JSONL, files.Field{Kind: files.JSON}, files.Column{Strings: []string{s}}, 1)
		var got struct{ V json.RawMessage }
		if err := json.Unmarshal([]byte(text), &got); err != nil || strings.Count(text, "\n") != 1 {
			t.Fatalf("%q: %q, %v", s, text, err)
		}
		if valid := s == "" || json.Valid([]byte(s)); valid == (shard.InvalidJSON > 0) {
			t.Errorf("%q: valid %t, %+v", s, valid, shard.Flaws)
		}
	})
}
