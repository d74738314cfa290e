package warehouse

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	createMigrations = `CREATE TABLE IF NOT EXISTS schema_migrations
		(version UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
		ENGINE = MergeTree
		ORDER BY version`
	// lockTable exists while somebody migrates; its comment says who.
	lockTable = "schema_lock"
	lockPoll  = 50 * time.Millisecond
	// lockStale is the age at which the lock of a process that died is taken over.
	// No migration takes nearly as long.
	lockStale = time.Minute
	// Error codes of ClickHouse for tables and columns that are there already.
	tableExists  = 57
	columnExists = 15
)

// migration is one numbered, immutable change of the schema.
type migration struct {
	version   uint32
	name      string
	statement string
	checksum  string
}

// Migrate brings the tables up to date. Processes that start at once take turns, so
// that each migration is applied once. It refuses a database that a newer Flywheel
// has changed, and one whose applied migrations are not the ones of this program.
func (db *DB) Migrate(ctx context.Context) error {
	all, err := migrations(migrationFiles)
	if err != nil {
		return err
	}
	unlock, err := db.lockSchema(ctx)
	if err != nil {
		return err
	}
	return errors.Join(db.applyMissing(ctx, all), unlock())
}

func (db *DB) applyMissing(ctx context.Context, all []migration) error {
	if err := db.define(ctx, createMigrations, shardKeys()); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	applied, err := db.applied(ctx)
	if err != nil {
		return err
	}
	if err := checkApplied(all, applied); err != nil {
		return err
	}
	for _, m := range all {
		if _, done := applied[m.version]; done {
			continue
		}
		if err := db.apply(ctx, m); err != nil {
			return err
		}
		db.log.Info("migrated", slog.String("migration", m.name))
	}
	return nil
}

// apply runs a migration and records it. A process that died between the two left
// the statement's effect behind, as may a power cut: a table or column that exists is
// then the one it made.
func (db *DB) apply(ctx context.Context, m migration) error {
	err := db.define(ctx, m.statement, shardKeys())
	if err == nil {
		err = db.conn.Exec(ctx, "INSERT INTO schema_migrations (version, name, checksum) VALUES (?, ?, ?)", m.version, m.name, m.checksum)
	}
	if err != nil {
		return fmt.Errorf("apply migration %s: %w", m.name, err)
	}
	return nil
}

// define runs a statement that makes or changes tables, on a cluster distributed by keys.
// What is there already stays as it is.
func (db *DB) define(ctx context.Context, statement string, keys map[string]string) error {
	if db.cluster == nil {
		err := db.conn.Exec(ctx, statement)
		if exception, ok := errors.AsType[*clickhouse.Exception](err); ok && (exception.Code == tableExists || exception.Code == columnExists) {
			return nil
		}
		return err
	}
	steps, err := db.cluster.distribute(statement, keys)
	if err != nil {
		return err
	}
	for _, s := range steps {
		exec := db.conn.Exec
		if s.everywhere {
			exec = db.everywhere
		}
		if err := exec(ctx, s.sql); err != nil {
			return err
		}
	}
	return nil
}

// everywhere runs a statement on every server of the cluster, if there is one.
func (db *DB) everywhere(ctx context.Context, sql string, args ...any) error {
	return db.cluster.everywhere(ctx, db.conn, sql, args...)
}

// applied maps the versions of the applied migrations to their checksums.
func (db *DB) applied(ctx context.Context) (map[uint32]string, error) {
	rows, err := db.conn.Query(ctx, "SELECT version, checksum FROM schema_migrations")
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	applied := map[uint32]string{}
	for rows.Next() {
		var version uint32
		var checksum string
		if err := rows.Scan(&version, &checksum); err != nil {
			return nil, fmt.Errorf("read applied migrations: %w", err)
		}
		applied[version] = checksum
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return applied, nil
}

func checkApplied(all []migration, applied map[uint32]string) error {
	known := map[uint32]migration{}
	for _, m := range all {
		known[m.version] = m
	}
	for version, checksum := range applied {
		m, ok := known[version]
		if !ok {
			return fmt.Errorf("the database has migration %d, this flywheel knows %d: use a newer flywheel", version, len(all))
		}
		if m.checksum != checksum {
			return fmt.Errorf("migration %s was applied with another content: the database was made by a different flywheel", m.name)
		}
	}
	return nil
}

// migrations reads the files NNNN_name.sql, which are numbered from 1 without gaps.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []migration
	for i, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		base := strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".sql")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.ParseUint(number, 10, 32)
		if err != nil || version != uint64(i)+1 {
			return nil, fmt.Errorf("read migrations: %s: number %d is due", name, i+1)
		}
		sum := sha256.Sum256(data)
		all = append(all, migration{version: uint32(version), name: base, statement: string(data), checksum: hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// lockSchema returns once this process is the only one that migrates. ClickHouse
// has no locks, but of several that create one table all but one fail: on the first server
// of a cluster, or, as Keeper puts them in order, on every one.
func (db *DB) lockSchema(ctx context.Context) (unlock func() error, err error) {
	owner := rand.Text()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := db.lockConn().Exec(ctx, fmt.Sprintf("CREATE TABLE %s%s (n UInt8) ENGINE = MergeTree ORDER BY n COMMENT '%s'", lockTable, db.cluster.onCluster(), owner))
		if err == nil {
			return func() error { return db.unlockSchema(context.WithoutCancel(ctx), owner) }, nil
		}
		if exception, ok := errors.AsType[*clickhouse.Exception](err); !ok || exception.Code != tableExists {
			return nil, fmt.Errorf("lock schema: %w", err)
		}
		if err := db.breakStaleLock(ctx); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock schema: another process migrates: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// lockConn is where the lock is.
func (db *DB) lockConn() driver.Conn {
	if db.cluster != nil && !db.cluster.keeper {
		return db.cluster.nodes[0]
	}
	return db.conn
}

// unlockSchema drops the lock of an owner, unless another one has it by now.
func (db *DB) unlockSchema(ctx context.Context, owner string) error {
	var held uint64
	query := "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = ? AND comment = ?"
	err := db.lockConn().QueryRow(ctx, query, lockTable, owner).Scan(&held)
	if err == nil && held > 0 {
		err = db.lockConn().Exec(ctx, "DROP TABLE IF EXISTS "+lockTable+db.cluster.onCluster()+" SYNC")
	}
	if err != nil {
		return fmt.Errorf("unlock schema: %w", err)
	}
	return nil
}

// breakStaleLock drops the lock of a process that died while it migrated.
func (db *DB) breakStaleLock(ctx context.Context) error {
	var owners []string
	query := "SELECT groupArray(comment) FROM system.tables WHERE database = currentDatabase() AND name = ? AND metadata_modification_time < now() - ?"
	if err := db.lockConn().QueryRow(ctx, query, lockTable, int64(lockStale.Seconds())).Scan(&owners); err != nil {
		return fmt.Errorf("look at schema lock: %w", err)
	}
	for _, owner := range owners {
		db.log.Warn("taking over the schema lock of a process that died")
		if err := db.unlockSchema(ctx, owner); err != nil {
			return err
		}
	}
	return nil
}
