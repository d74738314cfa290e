package warehouse

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

func openCluster(t *testing.T, dsn string) *DB {
	t.Helper()
	db, err := OpenCluster(t.Context(), dsn, enginetest.ClusterName, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// onBothNodes returns two connections to a new database on a cluster of two shards, one to
// each of its servers.
func onBothNodes(t *testing.T) (one, two *DB) {
	t.Helper()
	dsns := enginetest.ClusterDSN(t)
	one, two = openCluster(t, dsns[0]), openCluster(t, dsns[1])
	if err := one.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return one, two
}

func TestMigrateClusterIsAppliedOnceByMany(t *testing.T) {
	t.Parallel()
	dsns := enginetest.ClusterDSN(t)
	var group errgroup.Group
	for i := range 6 {
		db := openCluster(t, dsns[i%len(dsns)])
		group.Go(func() error { return db.Migrate(t.Context()) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	all, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	// Who does not name the cluster finds it out.
	db := open(t, dsns[1])
	if got := number(t, db, "SELECT count() FROM schema_migrations"); got != uint64(len(all)) {
		t.Errorf("%d migrations recorded, want %d", got, len(all))
	}
	if got := number(t, db, "SELECT count() FROM "+db.System("tables")+" WHERE database = currentDatabase() AND name = 'schema_lock'"); got != 0 {
		t.Error("the lock is left behind")
	}
	// What a process did that died before it recorded it is there already.
	if err := db.Conn().Exec(t.Context(), "TRUNCATE TABLE schema_migrations_local"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Errorf("migrate again: %v", err)
	}
}

// TestRowsThatMergeAreOnOneShard inserts partial rows of the same keys by both servers and
// looks at where they are.
func TestRowsThatMergeAreOnOneShard(t *testing.T) {
	t.Parallel()
	one, two := onBothNodes(t)
	for table := range shardKeys() {
		if table == "schema_migrations" { // whose rows do not merge
			continue
		}
		var key string
		if err := one.Conn().QueryRow(t.Context(), "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = ?", one.Stored(table)).Scan(&key); err != nil {
			t.Fatal(err)
		}
		columns := strings.Split(key, ", ")
		random := "SELECT " + strings.Join(columns, ", ") + " FROM generateRandom('" + structure(t, one, table, columns) + "', 1, 5) LIMIT 300"
		for _, db := range []*DB{one, two, one} {
			exec(t, db, "INSERT INTO "+table+" ("+key+") "+random)
		}
		query := "SELECT toUInt64(uniqExact(n)) FROM (SELECT uniqExact(_shard_num) AS n FROM " + table + " GROUP BY " + key + ") WHERE n > 1"
		if got := number(t, two, query); got != 0 {
			t.Errorf("%s: rows of one key are on several shards", table)
		}
		if got := number(t, two, "SELECT uniqExact(_shard_num) FROM "+table); got != 2 {
			t.Errorf("%s: %d shards have rows, want 2", table, got)
		}
		if got := number(t, two, "SELECT count() FROM "+table+" FINAL"); got < 200 || got > 310 {
			t.Errorf("%s: %d merged rows, want about 300", table, got)
		}
	}
}

// structure are the types of columns; times are those that every type of time holds.
func structure(t *testing.T, db *DB, table string, columns []string) string {
	t.Helper()
	all, err := db.columns(t.Context(), "SELECT "+strings.Join(columns, ", ")+" FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`, "DateTime64(3, 'UTC')", "DateTime").Replace(strings.Join(all, ", "))
}

// TestInsertNeedsAllShards: an insert that one shard did not take is an error, and doing
// it again does no harm.
func TestInsertNeedsAllShards(t *testing.T) {
	t.Parallel()
	one, two := onBothNodes(t)
	rows := NewInteractions()
	for range 100 {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		rows.Append([]Interaction{{Tenant: "acme", ID: id, OutputChars: 7}})
	}
	exec(t, two, "RENAME TABLE interactions_local TO away")
	if err := one.Insert(t.Context(), "interactions", rows); err == nil || Permanent(err) {
		t.Fatalf("an insert without one of the shards: %v, permanent %v", err, Permanent(err))
	}
	exec(t, two, "RENAME TABLE away TO interactions_local")
	for _, db := range []*DB{one, two} {
		if err := db.Insert(t.Context(), "interactions", rows); err != nil {
			t.Fatal(err)
		}
		if got := number(t, one, "SELECT sum(output_chars) FROM interactions FINAL"); got != 700 {
			t.Errorf("%d characters, want 700", got)
		}
	}
	exec(t, two, "ALTER TABLE interactions_local ADD CONSTRAINT none CHECK tenant != 'acme'")
	if err := one.Insert(t.Context(), "interactions", rows); !Permanent(err) {
		t.Errorf("a shard refused the data, which is not permanent: %v", err)
	}
}

// TestRetainOnCluster sets ages on every shard, also when a process died between two.
func TestRetainOnCluster(t *testing.T) {
	t.Parallel()
	one, two := onBothNodes(t)
	ages := Ages{Interactions: 6, Content: 1, Edits: 2, Steps: 3, Rates: 4, Rollups: 8}
	retain(t, one, ages)
	exec(t, two, "ALTER TABLE rates_local REMOVE TTL")
	if unnoted, err := one.UnnotedAges(t.Context()); err != nil || len(unnoted) != 1 || unnoted[0] != "rates" {
		t.Errorf("unnoted ages %v, %v; want those of rates, which one shard has lost", unnoted, err)
	}
	retain(t, one, ages)
	if unnoted, err := one.UnnotedAges(t.Context()); err != nil || len(unnoted) != 0 {
		t.Errorf("unnoted ages %v, %v; want none", unnoted, err)
	}
	exec(t, one, "INSERT INTO interactions (tenant, started_at, interaction_id) SELECT 'acme', now() - toIntervalDay(number % 12), generateUUIDv4() FROM numbers(1200)")
	if err := two.Compact(t.Context(), "interactions"); err != nil {
		t.Fatal(err)
	}
	if got := number(t, one, "SELECT count() FROM interactions"); got != 700 {
		t.Errorf("%d rows are left, want those of 7 days, 700", got)
	}
	if got := frozenDays(t, two, "interactions"); got != 5 {
		t.Errorf("frozen before %d days ago, want 5", got)
	}
}

func TestTablesOnCluster(t *testing.T) {
	t.Parallel()
	dsns := enginetest.ClusterDSN(t)
	one, two := openCluster(t, dsns[0]), openCluster(t, dsns[1])
	const frozen = "ENGINE = MergeTree PARTITION BY part ORDER BY (part, n)"
	for _, table := range []string{"made_kept", "made_gone"} {
		if err := one.CreateAs(t.Context(), table, "n", frozen, "SELECT toString(number % 2) AS part, number AS n FROM numbers(1)"); err != nil {
			t.Fatal(err)
		}
		exec(t, one, "INSERT INTO "+table+" SELECT toString(number % 2), number FROM numbers(100)")
		if got := number(t, two, "SELECT sum(n) FROM "+table); got != 4950 {
			t.Errorf("sum %d, want 4950", got)
		}
	}
	if err := two.DropTables(t.Context(), "made_", "made_kept"); err != nil {
		t.Fatal(err)
	}
	if got := number(t, one, "SELECT count() FROM "+one.System("tables")+" WHERE database = currentDatabase() AND startsWith(name, 'made_')"); got != 4 {
		t.Errorf("%d tables are left, want that of each shard and the one over them, twice", got)
	}
}

// TestClusterErrors: what cannot be right is an error that says what to do.
func TestClusterErrors(t *testing.T) {
	t.Parallel()
	refused := func(dsn, name string, want ...string) {
		t.Helper()
		db, err := OpenCluster(t.Context(), dsn, name, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("a database on cluster %q was opened, want an error", name)
			_ = db.Close()
			return
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error %v, want %q in it", err, part)
			}
		}
	}
	dsns := enginetest.ClusterDSN(t)
	refused(dsns[0], "other", "knows no cluster other", "but "+enginetest.ClusterName)
	refused(enginetest.DSN(t), "other", "<remote_servers>")

	alone := open(t, dsns[0])
	exec(t, alone, createMigrations)
	refused(dsns[0], enginetest.ClusterName, "has the tables of one server")

	dsns = enginetest.ClusterDSN(t)
	one := openCluster(t, dsns[0])
	if err := one.define(t.Context(), createMigrations, shardKeys()); err != nil {
		t.Fatal(err)
	}
	exec(t, one, "ALTER TABLE schema_migrations MODIFY COMMENT 'cluster shards, shards of weight 1 1 1'")
	refused(dsns[0], "", "weight 1 1 1", "weight 1 1:", "docs/operations.md")
}
