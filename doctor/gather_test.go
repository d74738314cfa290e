package doctor

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

func gather(t *testing.T, change func(*Config)) Facts {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Sample = 200 * time.Millisecond
	change(&cfg)
	facts, err := Gather(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// level is that of the finding of a check at a place.
func level(t *testing.T, report Report, check, where string) Finding {
	t.Helper()
	i := slices.IndexFunc(report.Findings, func(f Finding) bool { return f.Check == check && f.Where == where })
	if i < 0 {
		t.Fatalf("no finding %s of %s in %+v", check, where, report.Findings)
	}
	return report.Findings[i]
}

// openDatabase makes a database with Flywheel's tables.
func openDatabase(t *testing.T) (*warehouse.DB, string) {
	t.Helper()
	dsn := enginetest.DSN(t)
	db, err := warehouse.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, dsn
}

// TestStoreFacts plants faults in a real ClickHouse.
func TestStoreFacts(t *testing.T) {
	t.Parallel()
	db, dsn := openDatabase(t)
	examine := func() Report {
		t.Helper()
		return Examine(gather(t, func(c *Config) { c.ClickHouseURL = dsn }))
	}
	exec := func(statement string) {
		t.Helper()
		if err := db.Conn().Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	fresh := examine()
	for _, f := range fresh.Findings {
		if f.Level == Wrong && f.Check != "disk" {
			t.Errorf("fresh: %+v", f)
		}
	}
	exec("INSERT INTO bucket_touches VALUES ('acme', now() - 7200, 3, now64(3) - 3600)")
	exec("INSERT INTO settled_buckets VALUES ('acme', now() - 7200, 2, now64(3) - 3600)")
	exec("ALTER TABLE edits MODIFY TTL toStartOfDay(session_started_at) + toIntervalDay(9)")
	exec("INSERT INTO steps (tenant) VALUES ('acme')")
	exec("ALTER TABLE steps DELETE WHERE throwIf(tenant = 'acme') = 1 SETTINGS mutations_sync = 0")
	for deadline := time.Now().Add(time.Minute); ; {
		report := examine()
		rates, ages := level(t, report, "rates", "settler"), level(t, report, "ages", "ages of tables")
		mutations := level(t, report, "mutations", "mutations")
		if rates.Level == Wrong && strings.Contains(rates.Says, "1 minutes of rates are due, the oldest for 1h0m") &&
			ages.Level == Wrong && strings.HasPrefix(ages.Says, "edits drop rows") &&
			mutations.Level == Wrong && strings.HasPrefix(mutations.Says, "steps mutation_") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("planted faults are not found: %+v", report.Findings)
		}
	}
	exec("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
	if f := level(t, examine(), "schema", "tables"); f.Level != Wrong || !strings.Contains(f.Says, "use a newer flywheel") {
		t.Errorf("newer tables: %+v", f)
	}
}

// startNATS runs a server that is not Flywheel's, with a monitoring port.
func startNATS(t *testing.T, syncAlways bool) (url, monitor string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT,
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: syncAlways, MaxPayload: 8 << 20, NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not start")
	}
	return s.ClientURL(), "http://" + s.MonitorAddr().String()
}

// TestLogFacts looks at real NATS servers that sync at once, or do not, or cannot be
// asked, and at a log that fills up.
func TestLogFacts(t *testing.T) {
	t.Parallel()
	for _, sync := range []bool{false, true} {
		url, monitor := startNATS(t, sync)
		cfg := eventlog.DefaultConfig()
		cfg.URL, cfg.Outcome.MaxBytes = url, 1<<20
		log, err := eventlog.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = log.Close() }()
		for range 10 {
			if err := log.Publish(t.Context(), eventlog.Outcome, make([]byte, 80_000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.DeadLetter(t.Context(), eventlog.DeadLetter{Reason: "odd", Batch: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		look := func(monitor string) Report {
			return Examine(gather(t, func(c *Config) { c.Log.URL, c.Monitor = url, monitor }))
		}
		report := look(monitor)
		if f := level(t, report, "durability", "event log"); (f.Level == OK) != sync {
			t.Errorf("sync %v: %+v", sync, f)
		}
		if f := level(t, report, "fill", "outcome lane"); f.Level != Warning || !strings.Contains(f.Says, "of 1.0 MiB") {
			t.Errorf("fill: %+v", f)
		}
		if f := level(t, report, "lag", "outcome lane"); !strings.HasPrefix(f.Says, "10 records wait, the oldest for ") {
			t.Errorf("lag: %+v", f)
		}
		if f := level(t, report, "deadletter", "dead letters"); f.Level != Warning {
			t.Errorf("dead letters: %+v", f)
		}
		for _, blind := range []string{"", "http://127.0.0.1:1"} {
			if f := level(t, look(blind), "durability", "event log"); f.Level != Warning {
				t.Errorf("monitor %q: %+v", blind, f)
			}
		}
	}
}

// TestNothingThere looks at addresses where nothing listens.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	_ = lis.Close()
	report := Examine(gather(t, func(c *Config) {
		c.Collector, c.Feedback, c.Debug = address, address, address
		c.Log.URL = "nats://" + address
	}))
	if report.Count(Wrong) != 4 || len(report.Findings) != 4 {
		t.Errorf("report %+v", report)
	}
}

// TestMachineFacts measures this machine, and a folder where nothing can be written.
func TestMachineFacts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := gather(t, func(c *Config) { c.Dir, c.PID = dir, os.Getpid() }).Machine
	if m.Sync4K <= 0 || m.Sync256K <= 0 || m.SyncErr != "" || m.Free == 0 || m.Total < m.Free || m.OpenFiles == 0 || m.Memory == 0 || m.UpCPU < 0 || m.EngineCPU < 0 || m.Cores == 0 {
		t.Errorf("machine %+v", m)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	m = gather(t, func(c *Config) { c.Dir = filepath.Join(dir, "none") }).Machine
	if m.SyncErr == "" || m.UpCPU >= 0 {
		t.Errorf("machine %+v", m)
	}
}

func TestGatherEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Gather(ctx, DefaultConfig(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error after the context")
	}
	if _, err := Gather(t.Context(), Config{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "100ms to 1h") {
		t.Errorf("without a sample: %v", err)
	}
}
