package warehouse

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

// headers are the names of all columns of rows.
func headers[R any](t *Table[R]) []string {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.name)
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

func testID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTableLeavesUnusedColumnsOut(t *testing.T) {
	t.Parallel()
	table := NewContent()
	rows := make([]Text, 3*chunkRows+1)
	for i := range rows {
		rows[i] = Text{Tenant: "t", ID: testID(t)}
	}
	rows[70].Comment = "fine"
	table.Append(rows[:50])
	table.Append(rows[50:])
	for range 2 { // an insert may be repeated
		columns, next := table.Blocks()
		if got, want := columns.Columns(), `("tenant","started_at","id","comment")`; got != want {
			t.Errorf("columns %s, want %s", got, want)
		}
		if err := next(); err != nil {
			t.Fatal(err)
		}
		for _, c := range columns {
			if c.Data.Rows() != len(rows) {
				t.Errorf("%d rows in column %s, want %d", c.Data.Rows(), c.Name, len(rows))
			}
		}
		if err := next(); !errors.Is(err, io.EOF) || columns[0].Data.Rows() != 0 {
			t.Errorf("%v with %d rows after the last block", err, columns[0].Data.Rows())
		}
	}
	table.Reset()
	if columns, next := table.Blocks(); len(columns) != 1 || !errors.Is(next(), io.EOF) || table.Len() != 0 {
		t.Errorf("%s left after Reset", columns.Columns())
	}
}

// TestBlocksAllocateNothing bounds what rows take on their way to a connection, however
// many there are: the list of the columns.
func TestBlocksAllocateNothing(t *testing.T) {
	table, rows := NewInteractions(), randomInteractions(20_000)
	send := func() {
		table.Append(rows)
		defer table.Reset()
		columns, next := table.Blocks()
		out := proto.NewWriter(io.Discard, new(proto.Buffer))
		blocks := 0
		for ; next() == nil; blocks++ {
			if err := (proto.Block{Rows: columns[0].Data.Rows(), Columns: len(columns)}).WriteBlock(out, proto.Version, columns); err != nil {
				t.Fatal(err)
			}
			if n, err := out.Flush(); err != nil || n > 2*blockBytes {
				t.Fatalf("a block of %d bytes: %v", n, err)
			}
		}
		if blocks < 2 {
			t.Fatalf("%d blocks", blocks)
		}
	}
	if n := testing.AllocsPerRun(10, send); n > 400 {
		t.Errorf("%v allocations for %d rows, want at most 400", n, len(rows))
	}
}

// BenchmarkBlocks measures rows on their way to a connection.
func BenchmarkBlocks(b *testing.B) {
	table, rows := NewInteractions(), randomInteractions(20_000)
	out := proto.NewWriter(io.Discard, new(proto.Buffer))
	b.ReportAllocs()
	for b.Loop() {
		table.Reset()
		table.Append(rows)
		columns, next := table.Blocks()
		for next() == nil {
			if err := (proto.Block{Rows: columns[0].Data.Rows(), Columns: len(columns)}).WriteBlock(out, proto.Version, columns); err != nil {
				b.Fatal(err)
			}
			if _, err := out.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

// TestValuesArrive stores one row of everything, with and without compression, and reads
// it back by name.
func TestValuesArrive(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 200)
	id := uuid.MustParse("01939fd2-1a2b-7c3d-8e4f-0123456789ab")
	for _, compress := range []string{"none", "lz4", "zstd"} {
		db := open(t, enginetest.DSN(t)+"&compress="+compress)
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		interactions, edits, steps, touches := NewInteractions(), NewEdits(), NewSteps(), NewTouches()
		interactions.Append([]Interaction{{
			Tenant: "t", ID: id, SessionID: id, Dimensions: Dimensions{Model: long, Trigger: "typing"}, GeneratedAt: 1_764_000_000_123_456,
			GeneratedSequence: 1 << 63, PromptTokens: 1 << 31, MeanLogprob: new(float32(-0.25)), FourGram: [7]uint16{6: 65535}, BranchChanged: 255,
			RetainedChars: [7]uint32{3: 9},
		}, {Tenant: "u", ID: id}})
		edits.Append([]Edit{{Tenant: "t", SessionID: id, EventID: id, Time: 5, Source: 7, Consent: 2, Text: ""}, {Tenant: "u", Text: long}})
		steps.Append([]Step{{Tenant: "t", Rating: new(uint8(0))}, {Tenant: "u"}})
		touches.Append([]Touch{{Tenant: "t", Bucket: time.Unix(1<<32-60, 0), Touches: 1, TouchedAt: time.UnixMilli(1_764_000_000_123)}})
		for table, rows := range map[string]Columns{"interactions": interactions, "edits": edits, "steps": steps, "bucket_touches": touches} {
			if err := db.Insert(t.Context(), table, rows); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string]string{
			"SELECT toString(tuple(interaction_id, session_id, model, trigger, generated_at, generated_sequence, prompt_tokens, mean_logprob, four_gram_900, branch_changed, retained_chars_120, started_at)) FROM interactions WHERE tenant = 't'": "('" + id.String() + "','" + id.String() + "','" + long + "','typing','2025-11-24 16:00:00.123456',9223372036854775808,2147483648,-0.25,65535,255,9,'2024-12-07 06:32:46.891')",
			"SELECT toString(tuple(mean_logprob, model, generated_at)) FROM interactions WHERE tenant = 'u'":                                                                                                                                        "(NULL,'','1970-01-01 00:00:00.000000')",
			"SELECT toString(tuple(source, consent, text, event_id, time, session_started_at)) FROM edits WHERE tenant = 't'":                                                                                                                       "('external',2,'','" + id.String() + "','1970-01-01 00:00:00.000005','2024-12-07 06:32:46.891')",
			"SELECT toString(tuple(source, text)) FROM edits WHERE tenant = 'u'":                                                                                                                                                                    "('','" + long + "')",
			"SELECT toString(groupArray((tenant, rating))) FROM (SELECT * FROM steps ORDER BY tenant)":                                                                                                                                              "[('t',0),('u',NULL)]",
			"SELECT toString(tuple(bucket, touches, touched_at)) FROM bucket_touches":                                                                                                                                                               "('2106-02-07 06:27:16',1,'2025-11-24 16:00:00.123')",
		} {
			var got string
			if err := db.Conn().QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s\n got %s\nwant %s, %v", compress, query, got, want, err)
			}
		}
	}
}

// TestInsertMakesOnePart stores more rows than one block has.
func TestInsertMakesOnePart(t *testing.T) {
	t.Parallel()
	db := open(t, enginetest.DSN(t))
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	day := testID(t)
	rows := make([]Edit, 30_000)
	for i := range rows {
		rows[i] = Edit{Tenant: "t", SessionID: day, Sequence: uint64(i), EventID: day, Text: strings.Repeat("x", i%200)}
	}
	table := NewEdits()
	table.Append(rows)
	if err := db.Insert(t.Context(), "edits", table); err != nil {
		t.Fatal(err)
	}
	if got := number(t, db, "SELECT uniqExact(_part) FROM edits"); got != 1 {
		t.Errorf("%d parts, want 1", got)
	}
	if got, want := number(t, db, "SELECT sum(sequence * 1000 + length(text)) FROM edits"), uint64(15_000*29_999*1000+150*(199*200/2)); got != want {
		t.Errorf("sum %d, want %d", got, want)
	}
}
