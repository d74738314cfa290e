package doctor

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// TestClusterFacts plants a mutation that fails on one server of a cluster and asks the
// other.
func TestClusterFacts(t *testing.T) {
	t.Parallel()
	dsns := enginetest.ClusterDSN(t)
	db, err := warehouse.OpenCluster(t.Context(), dsns[1], enginetest.ClusterName, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"INSERT INTO steps_local (tenant) VALUES ('acme')",
		"ALTER TABLE steps_local DELETE WHERE throwIf(tenant = 'acme') = 1 SETTINGS mutations_sync = 0",
	} {
		if err := db.Conn().Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		report := Examine(gather(t, func(c *Config) { c.ClickHouseURL = dsns[0] }))
		if f := level(t, report, "mutations", "mutations"); f.Level == Wrong && strings.HasPrefix(f.Says, "steps_local mutation_") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the mutation is not found: %+v", report.Findings)
		}
	}
}
