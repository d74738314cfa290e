package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// startCluster starts two engines that are a cluster and returns the address of a database
// on it.
func startCluster(t *testing.T) (dsn string) {
	t.Helper()
	var ports []int
	first, second := freeAddresses(t)
	for _, address := range []string{first, second} {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, n)
	}
	dir := t.TempDir()
	for node := range ports {
		eng, err := engine.Start(t.Context(), engine.Config{
			DataDir: filepath.Join(dir, strconv.Itoa(node)),
			Cluster: &engine.Cluster{Name: "events", Ports: ports, Node: node, Password: "secret"},
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := eng.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
		dsn = eng.DSN("flywheel")
	}
	return dsn
}

// TestCluster runs all roles on a cluster, which the other commands find out about.
func TestCluster(t *testing.T) {
	t.Parallel()
	dsn := startCluster(t)
	collector, feedback := freeAddresses(t)
	u := startUp(t, filepath.Join(t.TempDir(), "data"), collector, feedback, "--clickhouse-url", dsn, "--clickhouse-cluster", "events")
	succeed(t, u.replayArgs("acme", "--interactions", "150")...)
	if out := succeed(t, "verify", "--clickhouse-url", dsn, "--log-level", "warn"); !strings.Contains(out, "Everything is equal: 150 interactions and ") {
		t.Errorf("verify: %s", out)
	}
	db, err := warehouse.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var shards uint64
	if err := db.Conn().QueryRow(t.Context(), "SELECT uniqExact(_shard_num) FROM interactions").Scan(&shards); err != nil || shards != 2 {
		t.Errorf("interactions are on %d shards, %v; want 2", shards, err)
	}
	u.stop(t)
}
