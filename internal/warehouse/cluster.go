package warehouse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// quorumTimeout is how long an insert waits until all servers of a shard have its rows.
const quorumTimeout = time.Minute

// cluster is the ClickHouse cluster over which a database's tables are distributed. See
// docs/adr/005.
type cluster struct {
	name, database string
	// weights are those of the shards, in their order. With the number of shards they
	// decide on which one a row is, so they must stay as they are.
	weights []uint32
	// replicas is how many servers each shard has.
	replicas int
	// keeper is set when the servers agree through Keeper: tables are replicated, and
	// statements for all servers are sent to one of them.
	keeper  bool
	members []member
	// nodes are connections to all members in their order, unless there is a Keeper.
	nodes []driver.Conn
}

// clusterError says what is wrong with how a cluster is configured.
type clusterError struct{ error }

// Unwrap returns the error.
func (e clusterError) Unwrap() error { return e.error }

func wrong(format string, args ...any) error { return clusterError{fmt.Errorf(format, args...)} }

// member is a server of a cluster.
type member struct {
	Shard               uint32 `ch:"shard_num"`
	Weight              uint32 `ch:"shard_weight"`
	Replica             uint32 `ch:"replica_num"`
	InternalReplication uint8  `ch:"internal_replication"`
	Host                string `ch:"host_name"`
	Port                uint16 `ch:"port"`
}

// findCluster learns from the server of conn what the cluster of a name consists of.
func findCluster(ctx context.Context, conn driver.Conn, name, database string) (*cluster, error) {
	c := &cluster{name: name, database: database}
	err := conn.Select(ctx, &c.members, `SELECT shard_num, shard_weight, replica_num, internal_replication, host_name, port
		FROM system.clusters WHERE cluster = ? ORDER BY shard_num, replica_num`, name)
	if err != nil {
		return nil, fmt.Errorf("look for cluster %s: %w", name, err)
	}
	if len(c.members) == 0 {
		return nil, unknownCluster(ctx, conn, name)
	}
	for _, m := range c.members {
		if m.Replica == 1 {
			c.weights = append(c.weights, m.Weight)
		}
		c.replicas = max(c.replicas, int(m.Replica))
	}
	if c.keeper, err = agree(ctx, conn); err != nil {
		return nil, fmt.Errorf("look at cluster %s: %w", name, err)
	}
	switch {
	case len(c.members) != c.replicas*len(c.weights):
		return nil, wrong("the shards of cluster %s have different numbers of servers: an insert is to be confirmed by all of a shard", name)
	case c.replicas > 1 && !c.keeper:
		return nil, wrong("cluster %s has shards of several servers and no Keeper through which they would agree: configure <zookeeper> on all of them", name)
	case c.replicas > 1 && slices.ContainsFunc(c.members, func(m member) bool { return m.InternalReplication == 0 }):
		return nil, wrong("cluster %s: set <internal_replication>true</internal_replication> for each of its shards, since the tables replicate themselves", name)
	}
	return c, nil
}

// join makes the options those of a connection to the cluster's database, and the database
// where it is missing. made is whether it has tables, layout what they say about the
// cluster they are on.
func (c *cluster) join(ctx context.Context, conn driver.Conn, options *clickhouse.Options, made bool, layout string) error {
	switch {
	case made && layout == "":
		return wrong("database %s has the tables of one server: give another database for cluster %s, and copy what is to be kept (docs/operations.md)", c.database, c.name)
	case made && layout != c.layout():
		return wrong("the tables of database %s are distributed over %s, which is now %s: rows that belong together would be apart (docs/operations.md says how to change a cluster)", c.database, layout, c.layout())
	case !made:
		if err := c.makeDatabase(ctx, conn, *options); err != nil {
			return fmt.Errorf("make database %s on cluster %s: %w", c.database, c.name, err)
		}
	}
	settings, err := c.settings(ctx, conn)
	if err != nil {
		return err
	}
	maps.Copy(options.Settings, settings)
	return c.dial(*options)
}

// makeDatabase makes the database on every server, with connections that do not ask for it.
func (c *cluster) makeDatabase(ctx context.Context, conn driver.Conn, options clickhouse.Options) error {
	options.Auth.Database = ""
	if err := c.dial(options); err != nil {
		return err
	}
	err := c.everywhere(ctx, conn, "CREATE DATABASE IF NOT EXISTS "+quote(c.database)+c.onCluster())
	return errors.Join(err, c.close())
}

func unknownCluster(ctx context.Context, conn driver.Conn, name string) error {
	var known []string
	if err := conn.QueryRow(ctx, "SELECT arraySort(groupUniqArray(cluster)) FROM system.clusters").Scan(&known); err != nil {
		return fmt.Errorf("look for cluster %s: %w", name, err)
	}
	if len(known) == 0 {
		return wrong("ClickHouse knows no cluster %s, and no other: it has no <remote_servers>", name)
	}
	return wrong("ClickHouse knows no cluster %s, but %s", name, strings.Join(known, ", "))
}

// agree reports whether the server has a Keeper; it then needs macros too.
func agree(ctx context.Context, conn driver.Conn) (keeper bool, err error) {
	// The table exists on servers that have one.
	if err := conn.QueryRow(ctx, "SELECT toBool(count()) FROM system.tables WHERE database = 'system' AND name = 'zookeeper_connection'").Scan(&keeper); err != nil || !keeper {
		return false, err
	}
	var macros []string
	if err := conn.QueryRow(ctx, "SELECT groupArray(macro) FROM system.macros").Scan(&macros); err != nil {
		return false, err
	}
	for _, needed := range []string{"shard", "replica"} {
		if !slices.Contains(macros, needed) {
			return false, wrong("the server has a Keeper and no macro {%s}: configure <macros> with shard and replica on every server", needed)
		}
	}
	return true, nil
}

// dial opens a pool of connections to each server, unless there is a Keeper. None is made
// before it is needed.
func (c *cluster) dial(options clickhouse.Options) error {
	if c.keeper {
		return nil
	}
	options.MaxOpenConns, options.MaxIdleConns = 1, 1
	for _, m := range c.members {
		options.Addr = []string{net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port)))}
		node, err := clickhouse.Open(&options)
		if err != nil {
			return errors.Join(fmt.Errorf("connect to %s of cluster %s: %w", options.Addr[0], c.name, err), c.close())
		}
		c.nodes = append(c.nodes, node)
	}
	return nil
}

// layout says how rows are distributed: the comment of every table over all shards.
func (c *cluster) layout() string {
	weights := make([]string, len(c.weights))
	for i, weight := range c.weights {
		weights[i] = strconv.FormatUint(uint64(weight), 10)
	}
	return "cluster " + c.name + ", shards of weight " + strings.Join(weights, " ")
}

// clusterOf is the cluster that a layout is of, or nothing.
func clusterOf(layout string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(layout, "cluster "), ", shards of weight ")
	return name
}

// settings are those that a cluster's connections have in addition.
func (c *cluster) settings(ctx context.Context, conn driver.Conn) (clickhouse.Settings, error) {
	settings := clickhouse.Settings{
		// An insert returns when the shards have its rows.
		"distributed_foreground_insert": 1,
		// What is joined or looked up is that of all shards.
		"distributed_product_mode": "global",
		// By default INSERT SELECT runs on each shard by itself, where it would sum
		// only what that shard has and store it there.
		"parallel_distributed_insert_select": 0,
		// Without a shard there is no answer, rather than a part of one.
		"skip_unavailable_shards": 0,
		// Two processors' touches may be equal, and both count.
		"insert_deduplicate": 0,
	}
	if c.replicas > 1 {
		// All servers of a shard have what was inserted, so that whichever answers counts
		// everything that was touched.
		settings["insert_quorum"] = c.replicas
		settings["insert_quorum_timeout"] = quorumTimeout.Milliseconds()
	}
	var newer bool
	if err := conn.QueryRow(ctx, "SELECT toBool(count()) FROM system.settings WHERE name = 'deduplicate_insert'").Scan(&newer); err != nil {
		return nil, fmt.Errorf("look for settings: %w", err)
	}
	if newer { // since 26.2, and over insert_deduplicate
		settings["deduplicate_insert"] = "disable"
	}
	return settings, nil
}

// onCluster makes a statement one for all servers, where Keeper passes it on.
func (c *cluster) onCluster() string {
	if c == nil || !c.keeper {
		return ""
	}
	return " ON CLUSTER " + quote(c.name)
}

// everywhere runs a statement on every server, given a connection to one of them. What
// fails leaves it run on some; it has to be one that may be run again.
func (c *cluster) everywhere(ctx context.Context, conn driver.Conn, sql string, args ...any) error {
	if c == nil || c.keeper {
		return conn.Exec(ctx, sql, args...)
	}
	for i, node := range c.nodes {
		if err := node.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("on server %d of %d: %w", i+1, len(c.nodes), err)
		}
	}
	return nil
}

func (c *cluster) close() (err error) {
	if c == nil {
		return nil
	}
	for _, node := range c.nodes {
		err = errors.Join(err, node.Close())
	}
	c.nodes = nil
	return err
}
