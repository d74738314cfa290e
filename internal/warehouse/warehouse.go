// Package warehouse is the only place that opens ClickHouse: the connection pool,
// the migrations of the tables, and columnar inserts.
package warehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
)

const (
	maxConnections = 16
	dialTimeout    = 5 * time.Second
	// openTimeout is how long Open waits for a server that does not answer.
	openTimeout = 30 * time.Second
	// readTimeout bounds a single answer of the server, for example of a big insert.
	readTimeout = 5 * time.Minute
)

// DB is a pool of connections to one database. Its methods may be called
// concurrently.
type DB struct {
	conn driver.Conn
	// cluster is nil for tables of one server.
	cluster  *cluster
	database string
	options  *clickhouse.Options
	// inserting are connections for inserts, which are not those of conn.
	inserting idleClients
	log       *slog.Logger
}

// Open connects to the database of a DSN, which is made when it does not exist:
// clickhouse://user:password@host1:9000,host2:9000/database, with the options of
// clickhouse-go (secure=true for TLS, max_open_conns, compress …). Blocks are compressed
// unless all servers are on this host. It waits some time for a server that does not answer
// yet. Inserts are synchronous: when one returns, its rows
// are stored.
//
// A database whose tables are distributed over a cluster says so itself.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*DB, error) {
	return OpenCluster(ctx, dsn, "", log)
}

// OpenCluster is [Open] for a database whose tables are, or are to be, distributed over
// the ClickHouse cluster of a name, of which the DSN names some servers. It is an error
// when the database is not on that cluster, or the cluster has not the shards that it had.
func OpenCluster(ctx context.Context, dsn, cluster string, log *slog.Logger) (*DB, error) {
	options, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	var last error
	db, err := backoff.Retry(ctx, func() (*DB, error) {
		db, err := connect(ctx, options, cluster)
		if err == nil || ctx.Err() == nil {
			last = err
		}
		if err != nil && !unanswered(err) {
			return nil, backoff.Permanent(err)
		}
		return db, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse at %s: %w", strings.Join(options.Addr, ", "), errors.Join(last, ctx.Err()))
	}
	db.log = log
	return db, nil
}

func parse(dsn string) (*clickhouse.Options, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read ClickHouse address (clickhouse://user:password@host:9000/database is needed): %w", err)
	}
	if options.Protocol != clickhouse.Native {
		return nil, errors.New("read ClickHouse address: the native protocol is needed (clickhouse://host:9000 or, with TLS, clickhouse://host:9440?secure=true)")
	}
	options.MaxOpenConns = cmp.Or(options.MaxOpenConns, maxConnections)
	options.MaxIdleConns = cmp.Or(options.MaxIdleConns, options.MaxOpenConns)
	options.DialTimeout = cmp.Or(options.DialTimeout, dialTimeout)
	options.ReadTimeout = cmp.Or(options.ReadTimeout, readTimeout)
	if options.TLS == nil {
		options.DialContext = dial
	}
	if options.Compression == nil {
		options.Compression = &clickhouse.Compression{Method: compression(options.Addr)}
	}
	options.ClientInfo.Products = append(options.ClientInfo.Products, struct{ Name, Version string }{Name: "flywheel", Version: "1"})
	if options.Settings == nil {
		options.Settings = clickhouse.Settings{}
	}
	// An asynchronous insert returns before its rows are stored (the default since 26.2).
	options.Settings["async_insert"] = 0
	// Late events touch old partitions; the client bounds how many.
	options.Settings["max_partitions_per_insert_block"] = 0
	// Compiling the expressions of a query that ran three times takes up to two seconds
	// under load, and gains our queries nothing.
	for _, what := range []string{"compile_expressions", "compile_aggregate_expressions", "compile_sort_description"} {
		options.Settings[what] = 0
	}
	return options, nil
}

// compression is what saves the most on the way to servers: nothing where there is no
// network between.
func compression(addresses []string) clickhouse.CompressionMethod {
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
			return clickhouse.CompressionLZ4
		}
	}
	return clickhouse.CompressionNone
}

// connect opens the pool, after making the database if it is missing. It never asks
// for a database that does not exist: the embedded engine takes that badly, see
// docs/adr/003.
func connect(ctx context.Context, options *clickhouse.Options, clusterName string) (*DB, error) {
	database, c, err := prepare(ctx, options, clusterName)
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := conn.Ping(ctx); err != nil {
		return nil, errors.Join(err, conn.Close(), c.close())
	}
	return &DB{conn: conn, cluster: c, database: database, options: options}, nil
}

// prepare finds the database and the cluster that it is on, or is to be on, adds its
// settings to the options, and makes the database where it is missing.
func prepare(ctx context.Context, options *clickhouse.Options, clusterName string) (database string, c *cluster, err error) {
	plain := *options
	plain.Auth.Database = ""
	conn, err := clickhouse.Open(&plain)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	database = options.Auth.Database
	if database == "" {
		if err := conn.QueryRow(ctx, "SELECT currentDatabase()").Scan(&database); err != nil {
			return "", nil, err
		}
	}
	var exists, tables uint64
	var layout string
	if err := conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = ?", database).Scan(&exists); err != nil {
		return "", nil, err
	}
	if err := conn.QueryRow(ctx, "SELECT count(), max(comment) FROM system.tables WHERE database = ? AND name = 'schema_migrations'", database).Scan(&tables, &layout); err != nil {
		return "", nil, err
	}
	if tables > 0 && clusterName == "" {
		clusterName = clusterOf(layout)
	}
	if clusterName == "" {
		if exists == 0 {
			err = conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quote(database))
		}
		return database, nil, err
	}
	if c, err = findCluster(ctx, conn, clusterName, database); err != nil {
		return "", nil, err
	}
	if err := c.join(ctx, conn, options, tables > 0, layout); err != nil {
		return "", nil, errors.Join(err, c.close())
	}
	return database, c, nil
}

func quote(identifier string) string { return "`" + strings.ReplaceAll(identifier, "`", "``") + "`" }

// unanswered reports whether an error came from no server at all.
func unanswered(err error) bool {
	if _, ok := errors.AsType[clusterError](err); ok {
		return false
	}
	_, answered := errors.AsType[*clickhouse.Exception](err)
	return !answered
}

// Conn is the pool, for queries. Inserts into Flywheel's tables go through
// [DB.Insert].
func (db *DB) Conn() driver.Conn { return db.conn }

// Close closes the pool's connections.
func (db *DB) Close() error {
	db.inserting.close()
	if err := errors.Join(db.conn.Close(), db.cluster.close()); err != nil {
		return fmt.Errorf("close ClickHouse: %w", err)
	}
	return nil
}
