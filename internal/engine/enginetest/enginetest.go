// Package enginetest gives tests the real embedded ClickHouse: one engine per test
// process, a database of its own per test.
package enginetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/yirifi/flywheel/internal/engine"
)

const stopTimeout = 30 * time.Second

// shared is the test process's engine, started by the first test that asks.
type shared struct {
	once   sync.Once
	dir    string
	engine *engine.Engine
	err    error
}

// process is the engine of this test process; there is one, as there is one TestMain.
var process shared

// Main is the body of TestMain in packages that use the engine. It makes the test
// program able to run as the engine's child process, and stops the engine after the
// tests.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		if err := engine.Main(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		// At once: the race detector would run C's exit handlers, which take the library
		// apart while it serves.
		syscall.Exit(0)
	}
	code := m.Run()
	for _, stop := range []func() error{process.stop, nodes.stop} {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop engine:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// DSN returns the address of a new, empty database. It is dropped after the test.
// It fails the test when there is no engine on this machine.
func DSN(tb testing.TB) string {
	tb.Helper()
	eng := Engine(tb)
	name := "test_" + strings.ToLower(rand.Text())
	exec(tb, eng, "CREATE DATABASE "+name)
	tb.Cleanup(func() { exec(tb, eng, "DROP DATABASE "+name+" SYNC") })
	return eng.DSN(name)
}

// Engine returns the test process's engine. Tests must leave it as it is; one that
// kills it starts its own.
func Engine(tb testing.TB) *engine.Engine {
	tb.Helper()
	process.once.Do(process.start)
	if process.err != nil {
		tb.Fatal(process.err)
	}
	return process.engine
}

func (s *shared) start() {
	if s.dir, s.err = os.MkdirTemp("", "flywheel-engine-"); s.err != nil {
		return
	}
	s.engine, s.err = engine.Start(context.Background(), engine.Config{DataDir: s.dir}, slog.New(slog.DiscardHandler))
}

func (s *shared) stop() error {
	if s.engine == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.engine.Stop(ctx); err != nil {
		return err
	}
	return os.RemoveAll(s.dir)
}

// exec runs a statement with a connection of its own, so that it works after the
// test's context has ended.
func exec(tb testing.TB, eng *engine.Engine, statement string) {
	tb.Helper()
	options, err := clickhouse.ParseDSN(eng.DSN("default"))
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := conn.Exec(ctx, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}
