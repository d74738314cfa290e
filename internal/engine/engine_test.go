package engine_test

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func start(t *testing.T, dir string) *engine.Engine {
	t.Helper()
	eng, err := engine.Start(t.Context(), engine.Config{DataDir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

func open(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func count(t *testing.T, conn driver.Conn) (n uint64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t *testing.T, conn driver.Conn, statement string) {
	t.Helper()
	if err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// TestKeepsFreeSpace is about a disk that fills: the engine must refuse an insert before
// there is no space, because then it says that it has stored what it has not.
func TestKeepsFreeSpace(t *testing.T) {
	t.Parallel()
	conn := open(t, enginetest.DSN(t))
	var share float64
	if err := conn.QueryRow(t.Context(), "SELECT keep_free_space / (keep_free_space + total_space) FROM system.disks WHERE name = 'default'").Scan(&share); err != nil {
		t.Fatal(err)
	}
	if share < 0.049 || share > 0.051 {
		t.Errorf("keeps %v of its disk free, want 0.05", share)
	}
}

// TestDataSurvives stops the engine cleanly, kills it, and finds the data each time.
func TestDataSurvives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	eng := start(t, dir)
	conn := open(t, eng.DSN("default"))
	exec(t, conn, "CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
	exec(t, conn, "INSERT INTO kept SELECT number FROM numbers(1000)")
	if err := eng.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	eng = start(t, dir)
	conn = open(t, eng.DSN("default"))
	if got := count(t, conn); got != 1000 {
		t.Fatalf("%d rows after a clean stop, want 1000", got)
	}
	exec(t, conn, "INSERT INTO kept SELECT number FROM numbers(1000)")
	before := eng.PID()
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); eng.PID() == before; {
		if time.Now().After(deadline) {
			t.Fatal("not started again")
		}
		_ = conn.Ping(t.Context())
	}
	if got := count(t, conn); got != 2000 {
		t.Fatalf("%d rows after a kill, want 2000, through the same address", got)
	}
	if err := eng.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSecondEngineOnFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	eng := start(t, dir)
	_, err := engine.Start(t.Context(), engine.Config{DataDir: dir}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one that names %s", err, dir)
	}
	if err := eng.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPortIsTaken: a port that another process takes between the choice and the start
// costs another choice, whichever of the two it is.
func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	for taken, name := range []string{"native protocol", "HTTP"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = other.Close() }()
			choices := 0
			eng, err := engine.StartOn(t.Context(), engine.Config{DataDir: t.TempDir()}, func(n int) ([]int, error) {
				ports, err := engine.FreePorts(n)
				if choices++; choices == 1 && err == nil {
					ports[taken] = other.Addr().(*net.TCPAddr).Port
				}
				return ports, err
			}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if err := open(t, eng.DSN("default")).Ping(t.Context()); err != nil || choices != 2 {
				t.Errorf("%v after %d choices of ports, want an answer after 2", err, choices)
			}
			if err := eng.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPasswordIsNeeded(t *testing.T) {
	t.Parallel()
	dsn := enginetest.DSN(t)
	at := strings.Index(dsn, "@")
	exec(t, open(t, dsn), "CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
	anyone := open(t, "clickhouse://default:"+dsn[at:])
	for _, query := range []string{"SELECT * FROM kept", "INSERT INTO kept VALUES (1)", "SELECT * FROM file('/etc/passwd', 'LineAsString')", "DROP TABLE kept"} {
		if err := anyone.Exec(t.Context(), query); err == nil {
			t.Errorf("without a password: could %s", query)
		}
	}
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "flywheel-engine-*", "config", "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no configuration found: %v", err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want it readable by its owner only", file, info.Mode())
		}
	}
}

func TestMissingLibrary(t *testing.T) {
	t.Parallel()
	_, err := engine.Start(t.Context(), engine.Config{DataDir: t.TempDir(), Library: "/does/not/exist.so"}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, engine.ErrLibraryMissing) || !strings.Contains(err.Error(), "make engine") {
		t.Errorf("error %v, want ErrLibraryMissing with what to run", err)
	}
}
