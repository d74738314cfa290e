package files_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/yirifi/flywheel/trainset/files"
)

// TestRowGroups checks that row groups are bounded in rows and in bytes.
func TestRowGroups(t *testing.T) {
	t.Parallel()
	large := slices.Repeat([]string{strings.Repeat("x", 9_996)}, 8000) // 10,000 bytes each
	for name, test := range map[string]struct {
		field  files.Field
		column files.Column
		rows   int
		want   []int64
	}{
		"rows":  {files.Field{Kind: files.Int64}, files.Column{Ints: make([]int64, 200_000)}, 200_000, []int64{131_072, 68_928}},
		"bytes": {files.Field{Kind: files.String}, files.Column{Strings: large}, len(large), []int64{3360, 3360, 1280}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, shard := writeColumn(t, files.Parquet, test.field, test.column, test.rows)
			file, err := parquet.OpenFile(strings.NewReader(text), int64(len(text)))
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, group := range file.RowGroups() {
				got = append(got, group.NumRows())
			}
			if !slices.Equal(got, test.want) || shard.Rows != int64(test.rows) {
				t.Errorf("row groups of %v rows, want %v; %+v", got, test.want, shard)
			}
		})
	}
}

// TestColumnOrder checks that the columns of a file are in the order of the schema,
// nested ones too.
func TestColumnOrder(t *testing.T) {
	t.Parallel()
	field := files.Field{Kind: files.Struct, Fields: []files.Field{
		{Name: "z", Kind: files.String}, {Name: "list", Kind: files.List, Fields: []files.Field{{Kind: files.Bool}}}, {Name: "a", Kind: files.Timestamp},
	}}
	column := files.Column{Children: []files.Column{
		{Strings: []string{"s"}}, {Ends: []int{0}, Children: []files.Column{{}}}, {Ints: []int64{1}},
	}}
	text, _ := writeColumn(t, files.Parquet, field, column, 1)
	file, err := parquet.OpenFile(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	want := `message row {
	optional group v {
		optional binary z (STRING);
		optional group list (LIST) {
			repeated group list {
				optional boolean element;
			}
		}
		optional int64 a (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	}
}`
	if got := file.Schema().String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
