package warehouse

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

// headers are the names of all columns of rows.
func headers[R any](t *Table[R]) []string {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.header())
	}
	return names
}

// TestRowsHaveAllColumns compares rows with the tables that the migrations make.
func TestRowsHaveAllColumns(t *testing.T) {
	t.Parallel()
	db := open(t, enginetest.DSN(t))
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	declared := map[string][]string{
		"interactions":   headers(NewInteractions()),
		"opportunities":  headers(NewOpportunities()),
		"content":        headers(NewContent()),
		"edits":          headers(NewEdits()),
		"steps":          headers(NewSteps()),
		"bucket_touches": headers(NewTouches()),
	}
	for table := range maps.Keys(declared) {
		var names []struct {
			Name string `ch:"name"`
		}
		query := "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = ?"
		if err := db.Conn().Select(t.Context(), &names, query, table); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, n := range names {
			want = append(want, n.Name)
		}
		slices.Sort(want)
		slices.Sort(declared[table])
		if diff := cmp.Diff(want, declared[table]); diff != "" {
			t.Errorf("%s (-table +rows):\n%s", table, diff)
		}
	}
}

func TestTableLeavesUnusedColumnsOut(t *testing.T) {
	t.Parallel()
	id := uuid.UUID{0, 0, 0, 0, 1, 0, 0x70, 8: 0x80}
	table := NewContent()
	rows := make([]Text, 3*blockRows+1)
	for i := range rows {
		rows[i] = Text{Tenant: "t", ID: id}
	}
	rows[70].Comment = "fine"
	table.Append(rows)
	if got, want := table.Names(), []string{"tenant", "started_at", "id", "comment"}; !slices.Equal(got, want) {
		t.Errorf("columns %v, want %v", got, want)
	}
	values := table.Values()
	if len(values) != 4 || table.Len() != len(rows) {
		t.Fatalf("%d columns of %d rows", len(values), table.Len())
	}
	if comments := values[3].([]string); len(comments) != len(rows) || comments[70] != "fine" {
		t.Errorf("comments %q", comments)
	}
	if started := values[1].([]time.Time)[0]; started.UnixMilli() != 256 {
		t.Errorf("started at %v", started)
	}
	table.Reset()
	if len(table.Names()) != 0 || table.Len() != 0 {
		t.Errorf("%v left after Reset", table.Names())
	}
}
