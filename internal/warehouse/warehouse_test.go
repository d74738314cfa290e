package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func open(t *testing.T, dsn string) *DB {
	t.Helper()
	db, err := Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func number(t *testing.T, db *DB, query string) (n uint64) {
	t.Helper()
	if err := db.Conn().QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestMigrateIsAppliedOnceByMany(t *testing.T) {
	t.Parallel()
	dsn := enginetest.DSN(t)
	var group errgroup.Group
	for range 6 {
		db := open(t, dsn)
		group.Go(func() error { return db.Migrate(t.Context()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	db := open(t, dsn)
	all, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	if got := number(t, db, "SELECT count() FROM schema_migrations"); got != uint64(len(all)) {
		t.Errorf("%d migrations recorded, want %d", got, len(all))
	}
	if got := number(t, db, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_lock'"); got != 0 {
		t.Error("the lock is left behind")
	}
}

func TestMigrateRefusesForeignDatabases(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, want string }{
		"newer":   {"INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')", "newer flywheel"},
		"changed": {"ALTER TABLE schema_migrations UPDATE checksum = 'x' WHERE version = 1 SETTINGS mutations_sync = 1", "another content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, enginetest.DSN(t))
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Conn().Exec(t.Context(), test.change); err != nil {
				t.Fatal(err)
			}
			if err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestMigrateContinuesAfterDeath leaves every migration's effect behind unrecorded.
func TestMigrateContinuesAfterDeath(t *testing.T) {
	t.Parallel()
	db := open(t, enginetest.DSN(t))
	all, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := db.Conn().Exec(t.Context(), m.statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	t.Parallel()
	file := &fstest.MapFile{Data: []byte("SELECT 1")}
	_, err := migrations(fstest.MapFS{"migrations/0001_a.sql": file, "migrations/0003_b.sql": file})
	if err == nil || !strings.Contains(err.Error(), "number 2 is due") {
		t.Errorf("error %v", err)
	}
}

func TestOpenMakesDatabase(t *testing.T) {
	t.Parallel()
	dsn := enginetest.DSN(t) + "_made"
	db := open(t, dsn)
	name := dsn[strings.LastIndex(dsn, "/")+1:]
	t.Cleanup(func() { _ = db.Conn().Exec(context.Background(), "DROP DATABASE "+quote(name)) })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"http://127.0.0.1:8123": "native protocol",
		"://":                   "clickhouse://user:password",
	} {
		if _, err := Open(t.Context(), dsn, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", dsn, err, want)
		}
	}
}

// numbers are rows of a table with the column n.
func numbers(n ...uint64) Columns {
	table := &Table[uint64]{columns: []*column[uint64]{newUint64("n", func(r *uint64) uint64 { return *r })}}
	table.Append(n)
	return table
}

// texts are rows of the same table that it cannot take.
func texts(n ...string) Columns {
	table := &Table[string]{columns: []*column[string]{newText("n", func(r *string) string { return *r })}}
	table.Append(n)
	return table
}

func TestInsertAndPermanent(t *testing.T) {
	t.Parallel()
	db := open(t, enginetest.DSN(t))
	if err := db.Conn().Exec(t.Context(), "CREATE TABLE numbers (n UInt64, CONSTRAINT small CHECK n < 1000) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		table     string
		columns   Columns
		permanent bool
	}{
		{"constraint", "numbers", numbers(1, 5000), true},
		{"type", "numbers", texts("x"), false},
		{"no table", "missing", numbers(1), false},
	} {
		err := db.Insert(t.Context(), test.table, test.columns)
		if err == nil || Permanent(err) != test.permanent {
			t.Errorf("%s: permanent %v, want %v: %v", test.name, Permanent(err), test.permanent, err)
		}
	}
	for _, err := range []error{context.Canceled, errors.New("unknown"), &ch.Exception{Code: 252}, fmt.Errorf("wrapped: %w", &ch.Exception{Code: 241})} {
		if Permanent(err) {
			t.Errorf("%v is permanent", err)
		}
	}
	if err := db.Insert(t.Context(), "missing", numbers()); err != nil {
		t.Errorf("no rows: %v", err)
	}
	if err := db.Insert(t.Context(), "numbers", numbers(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	if got := number(t, db, "SELECT sum(n) FROM numbers"); got != 6 {
		t.Errorf("sum %d, want 6", got)
	}
}

// TestCompression: blocks are compressed where they cross a network, unless the address
// says otherwise.
func TestCompression(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]clickhouse.CompressionMethod{
		"clickhouse://127.0.0.1:9000/flywheel":                         clickhouse.CompressionNone,
		"clickhouse://localhost:9000/flywheel":                         clickhouse.CompressionNone,
		"clickhouse://[::1]:9000/flywheel":                             clickhouse.CompressionNone,
		"clickhouse://10.0.0.1:9000/flywheel":                          clickhouse.CompressionLZ4,
		"clickhouse://clickhouse.internal:9000/flywheel":               clickhouse.CompressionLZ4,
		"clickhouse://127.0.0.1:9000,10.0.0.1:9000/flywheel":           clickhouse.CompressionLZ4,
		"clickhouse://127.0.0.1:9000/flywheel?compress=lz4":            clickhouse.CompressionLZ4,
		"clickhouse://clickhouse.internal:9000/flywheel?compress=none": clickhouse.CompressionNone,
	} {
		options, err := parse(dsn)
		if err != nil {
			t.Fatalf("%s: %v", dsn, err)
		}
		if got := options.Compression.Method; got != want {
			t.Errorf("%s: compression %s, want %s", dsn, got, want)
		}
	}
}

// TestRowsOfOneKeyInOneBlock: whoever reads merges them, before a part was ever merged and
// after.
func TestRowsOfOneKeyInOneBlock(t *testing.T) {
	t.Parallel()
	db := open(t, enginetest.DSN(t))
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7())
	edits, steps, content := NewEdits(), NewSteps(), NewContent()
	edits.Append([]Edit{{Tenant: "acme", SessionID: id, EventID: id, Text: "a"}, {Tenant: "acme", SessionID: id, EventID: id, Text: "a"}})
	steps.Append([]Step{{Tenant: "acme", SessionID: id, EventID: id, Kind: "message"}, {Tenant: "acme", SessionID: id, EventID: id, Kind: "message"}})
	content.Append([]Text{{Tenant: "acme", ID: id, Consents: 2, Prompt: "p"}, {Tenant: "acme", ID: id, Consents: 4, Output: "o"}})
	for table, rows := range map[string]Columns{"edits": edits, "steps": steps, "content": content} {
		if err := db.Insert(t.Context(), table, rows); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for query, want := range map[string]uint64{
			"SELECT count() FROM edits FINAL WHERE text = 'a'":                                         1,
			"SELECT count() FROM steps FINAL WHERE kind = 'message'":                                   1,
			"SELECT count() FROM content FINAL":                                                        1,
			"SELECT sum(consents) FROM content FINAL WHERE prompt = 'p' AND output = 'o'":              6,
			"SELECT count() FROM edits FINAL SETTINGS do_not_merge_across_partitions_select_final = 1": 1,
		} {
			if got := number(t, db, query); got != want {
				t.Errorf("%s: %d, want %d", query, got, want)
			}
		}
		for _, table := range []string{"edits", "steps", "content"} {
			if err := db.Compact(t.Context(), table); err != nil {
				t.Fatal(err)
			}
		}
	}
}
