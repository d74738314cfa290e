package feedback

import (
	"log/slog"
	"testing"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// TestCatalogAge asks for a catalog of which one is kept that was read some time ago. One
// model is registered; the one that is kept has none, or a stranger.
func TestCatalogAge(t *testing.T) {
	t.Parallel()
	db, err := warehouse.Open(t.Context(), enginetest.DSN(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Conn().Exec(t.Context(), "INSERT INTO models (tenant, model, revision, stage) VALUES ('default', 'registered', 1, 'released')"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		age       time.Duration
		changed   bool
		got, then string // the model that is given, and the one that is kept afterwards
	}{
		{"young", 0, false, "kept", "kept"},
		{"old: it is read again, but nobody waits", catalogAge + time.Millisecond, false, "kept", "registered"},
		{"too old", 2 * catalogAge, false, "registered", "registered"},
		{"changed", 0, true, "registered", "registered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, err := New(DefaultConfig(), db, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			// An hour from now is as young as now, however slow the test is.
			readAt := time.Now().Add(time.Hour)
			if test.age > 0 {
				readAt = time.Now().Add(-test.age)
			}
			f.catalogs.byTenant["default"] = catalog{models: []*flywheelv1.Model{{Model: "kept"}}, readAt: readAt}
			if test.changed {
				f.ModelsChanged("default")
			}
			found, err := f.catalog(t.Context(), "default")
			if err != nil || len(found.models) != 1 || found.models[0].GetModel() != test.got {
				t.Errorf("catalog %v, %v; want the model %q", found.models, err, test.got)
			}
			f.models.wait()
			if kept, _, _ := f.catalogs.get("default"); len(kept.models) != 1 || kept.models[0].GetModel() != test.then {
				t.Errorf("%v are kept, want the model %q", kept.models, test.then)
			}
		})
	}
}
