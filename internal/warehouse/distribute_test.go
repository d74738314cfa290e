package warehouse

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func keeperCluster() *cluster {
	return &cluster{name: "events", database: "flywheel", weights: []uint32{1, 2}, replicas: 2, keeper: true}
}

// schema returns all statements that make the tables on a cluster.
func (c *cluster) schema(t *testing.T) (steps []step, text string) {
	t.Helper()
	all, err := migrations(migrationFiles)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, m := range slices.Insert(all, 0, migration{name: "schema_migrations", statement: createMigrations}) {
		made, err := c.distribute(m.statement, shardKeys())
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		for i, s := range made {
			where := "one server"
			if s.everywhere {
				where = "every server"
			}
			fmt.Fprintf(&out, "-- %s, %d of %d, on %s\n%s;\n\n", m.name, i+1, len(made), where, s.sql)
		}
		steps = append(steps, made...)
	}
	return steps, out.String()
}

// TestDistributedSchema compares all statements that make the tables on a cluster with
// those that are stored, and lets ClickHouse read them.
func TestDistributedSchema(t *testing.T) {
	t.Parallel()
	steps, got := keeperCluster().schema(t)
	const golden = "testdata/schema_on_cluster.sql"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the schema on a cluster (-want +got); with -update it is written anew:\n%s", diff)
	}
	db := open(t, enginetest.DSN(t))
	for _, s := range steps {
		var formatted string
		if err := db.Conn().QueryRow(t.Context(), "SELECT formatQuery({sql:String})", clickhouse.Named("sql", s.sql)).Scan(&formatted); err != nil {
			t.Errorf("%.60s: %v", s.sql, err)
		}
	}
}

// TestSchemaWithoutKeeper: it differs in what Keeper is needed for, and in nothing else.
func TestSchemaWithoutKeeper(t *testing.T) {
	t.Parallel()
	alone := keeperCluster()
	alone.keeper, alone.replicas = false, 1
	_, got := alone.schema(t)
	_, want := keeperCluster().schema(t)
	for keeper, plain := range map[string]string{
		" ON CLUSTER `events`": "",
		"ENGINE = Replicated":  "ENGINE = ",
		"('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', ": "(",
		"('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')":  "",
	} {
		if !strings.Contains(want, keeper) {
			t.Errorf("with a Keeper the schema has no %q", keeper)
		}
		want = strings.ReplaceAll(want, keeper, plain)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the schema without a Keeper (-want +got):\n%s", diff)
	}
}

// TestDistributeRefuses gives statements whose meaning on a cluster is not known.
func TestDistributeRefuses(t *testing.T) {
	t.Parallel()
	keys := map[string]string{"t": "a", "apart": "b", "part": "a, b"}
	for name, test := range map[string]struct{ statement, want string }{
		"no key":              {"CREATE TABLE unknown (a UInt8)\nENGINE = MergeTree\nORDER BY a", "table unknown: it is not said which columns"},
		"key not sorted by":   {"CREATE TABLE apart (a UInt8, b UInt8)\nENGINE = ReplacingMergeTree\nORDER BY a", "column b decides"},
		"key sorted by half":  {"CREATE TABLE part (a UInt8, b UInt8, c UInt8)\nENGINE = ReplacingMergeTree\nORDER BY (a, c)", "column b decides"},
		"another engine":      {"CREATE TABLE t (a UInt8)\nENGINE = SummingMergeTree\nORDER BY a", "engine SummingMergeTree is not known"},
		"no MergeTree":        {"CREATE TABLE t (a UInt8) ENGINE = Log", "CREATE TABLE t (a UInt8) ENGINE = Log"},
		"more after ORDER BY": {"CREATE TABLE t (a UInt8)\nENGINE = MergeTree\nORDER BY a\nSETTINGS index_granularity = 1", "does not end with ORDER BY"},
		"sorted by a formula": {"CREATE TABLE t (a UInt8)\nENGINE = MergeTree\nORDER BY (a, b % 2)", "does not end with ORDER BY"},
		"materialized view":   {"CREATE MATERIALIZED VIEW v TO t AS SELECT 1", "CREATE MATERIALIZED VIEW"},
		"mutation":            {"ALTER TABLE t DELETE WHERE a = 1", "ALTER TABLE t DELETE"},
		"two changes":         {"ALTER TABLE t ADD COLUMN b UInt8, DROP COLUMN a", "ALTER TABLE t ADD"},
		"setting and column":  {"ALTER TABLE t MODIFY SETTING merge_selector_base = 16, DROP COLUMN a", "ALTER TABLE t MODIFY SETTING"},
		"drop":                {"-- gone\nDROP TABLE t", "DROP TABLE t"},
		"nothing":             {"-- nothing\n", "distribute"},
	} {
		steps, err := keeperCluster().distribute(test.statement, keys)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v; want %q in the error", name, steps, err, test.want)
		}
	}
}
