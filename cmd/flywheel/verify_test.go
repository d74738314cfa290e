package main

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yirifi/flywheel/internal/warehouse"
)

// TestVerifyAndReplayLog: after a replay of source code everything is equal; a planted
// row is found; tables that were lost come back from the log.
func TestVerifyAndReplayLog(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	succeed(t, u.replayArgs("acme")...)
	equal := func(args ...string) string {
		t.Helper()
		out := succeed(t, append([]string{"verify", "--data-dir", u.dir, "--log-level", "warn"}, args...)...)
		if !strings.Contains(out, "Everything is equal: 1200 interactions and ") {
			t.Errorf("verify: %s", out)
		}
		return out
	}
	before := equal()
	// On top of what is there, once in parts and once from a file of what is left.
	rest := filepath.Join(t.TempDir(), "rest")
	for _, args := range [][]string{{"--lane", "trace"}, {"--from", "1h", "--lane", "outcome", "--resume", rest}} {
		if out := succeed(t, append([]string{"replay-log", "--data-dir", u.dir}, args...)...); !strings.Contains(out, "0 events set aside") {
			t.Errorf("replay-log: %s", out)
		}
	}
	if _, err := os.Stat(rest); err == nil {
		t.Error("nothing is left to do, and a file says what")
	}
	if after := equal("--tenant", "acme"); after != before {
		t.Errorf("after replay-log: %s, before: %s", after, before)
	}

	db, err := warehouse.Open(t.Context(), readAddresses(u.dir).ClickHouseURL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	exec1 := func(statement string) {
		t.Helper()
		if err := db.Conn().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec1("INSERT INTO rates SELECT * REPLACE (accepted + 7 AS accepted, version + 1 AS version) FROM rates FINAL WHERE shown > 0 LIMIT 1")
	out, err := start(t, "verify", "--data-dir", u.dir, "--wait", "3s").wait(t)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 ||
		!strings.Contains(out, "rates: tenant=acme bucket=") || !strings.Contains(out, ": accepted is ") {
		t.Errorf("verify: %v: %s", err, out)
	}

	for _, table := range []string{"interactions", "opportunities"} {
		exec1("TRUNCATE TABLE " + table)
	}
	succeed(t, "replay-log", "--data-dir", u.dir)
	for deadline := time.Now().Add(patience); ; {
		var stale uint64
		query := "SELECT count() FROM (SELECT tenant, bucket, sum(touches) AS due FROM bucket_touches GROUP BY tenant, bucket) AS t LEFT JOIN (SELECT * FROM settled_buckets FINAL) AS s USING (tenant, bucket) WHERE t.due > s.version"
		if err := db.Conn().QueryRow(t.Context(), query).Scan(&stale); err != nil {
			t.Fatal(err)
		}
		if stale == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d minutes are not settled", stale)
		}
	}
	equal()
	u.stop(t)
}

// TestVerifyNeedsAStore says what to give where nothing runs.
func TestVerifyNeedsAStore(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"verify", "replay-log"} {
		out, err := start(t, command, "--data-dir", t.TempDir()).wait(t)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(out, "no 'flywheel up' runs on") {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
	out, err := start(t, "verify", "--from", "yesterday").wait(t)
	if err == nil || !strings.Contains(out, "or how long ago") {
		t.Errorf("verify: %v: %s", err, out)
	}
}
