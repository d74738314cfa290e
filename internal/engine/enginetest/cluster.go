package enginetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/yirifi/flywheel/internal/engine"
)

const (
	// ClusterName is the name of the cluster in ClickHouse.
	ClusterName = "shards"
	shards      = 2
)

// cluster is the test process's engines that are one cluster, started by the first test
// that asks.
type cluster struct {
	once    sync.Once
	dir     string
	engines []*engine.Engine
	err     error
}

// nodes is the cluster of this test process; there is one, as there is one TestMain.
var nodes cluster

// ClusterDSN returns the addresses of a new, empty database on the nodes of a cluster of
// two shards, each an engine of its own. The first is where to connect to. It is dropped
// after the test. It fails the test when there is no engine on this machine.
func ClusterDSN(tb testing.TB) (dsns []string) {
	tb.Helper()
	nodes.once.Do(nodes.start)
	if nodes.err != nil {
		tb.Fatal(nodes.err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	for _, eng := range nodes.engines {
		exec(tb, eng, "CREATE DATABASE "+name)
		tb.Cleanup(func() { exec(tb, eng, "DROP DATABASE "+name+" SYNC") })
		dsns = append(dsns, eng.DSN(name))
	}
	return dsns
}

func (c *cluster) start() {
	if c.dir, c.err = os.MkdirTemp("", "flywheel-cluster-"); c.err != nil {
		return
	}
	var ports []int
	if ports, c.err = engine.FreePorts(shards); c.err != nil {
		return
	}
	password := "p" + rand.Text()
	for node := range ports {
		cfg := engine.Config{
			DataDir: filepath.Join(c.dir, strconv.Itoa(node)),
			Cluster: &engine.Cluster{Name: ClusterName, Ports: ports, Node: node, Password: password},
		}
		eng, err := engine.Start(context.Background(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			c.err = fmt.Errorf("start node %d: %w", node, err)
			return
		}
		c.engines = append(c.engines, eng)
	}
}

func (c *cluster) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, eng := range c.engines {
		errs = append(errs, eng.Stop(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}
