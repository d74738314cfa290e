package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// Stored is the table that holds the rows of one of Flywheel's tables: itself, or, on a
// cluster, the one that is on every shard.
func (db *DB) Stored(table string) string {
	if db.cluster == nil {
		return table
	}
	return table + localSuffix
}

// insertSettings are those of an insert into a table. Rows of one key that come in one
// block stay apart until their part merges, which whoever reads them makes up for by FINAL,
// and which saves the engine a third of such an insert (docs/adr/007). Not those of
// interactions and opportunities: the settler reads these again and again, and parts
// whose rows are known to be merged are read without merging where they do not overlap.
func (db *DB) insertSettings(table string) []ch.Setting {
	settings := db.columnSettings()
	switch table {
	case "edits", "steps", "content":
		settings = append(settings, ch.Setting{Key: "optimize_on_insert", Value: "0", Important: true})
	}
	return settings
}

// System is the table of ClickHouse's database "system" with the rows of all servers.
func (db *DB) System(table string) string {
	if db.cluster == nil {
		return "system." + table
	}
	return "clusterAllReplicas(" + literal(db.cluster.name) + ", system." + table + ")"
}

// Compact merges the parts of a table.
func (db *DB) Compact(ctx context.Context, table string) error {
	if err := db.everywhere(ctx, "OPTIMIZE TABLE "+db.Stored(table)+db.cluster.onCluster()+" FINAL"); err != nil {
		return fmt.Errorf("compact %s: %w", table, err)
	}
	return nil
}

// Create makes a table by a CREATE TABLE statement of the form of the migrations. On a
// cluster its rows are distributed by a column that it is ordered by.
func (db *DB) Create(ctx context.Context, table, key, statement string) error {
	if err := db.define(ctx, statement, map[string]string{table: key}); err != nil {
		return fmt.Errorf("make table %s: %w", table, err)
	}
	return nil
}

// CreateAs makes an empty table with the columns of a query, and an engine as [DB.Create].
func (db *DB) CreateAs(ctx context.Context, table, key, engine, query string, args ...any) error {
	columns, err := db.columns(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("make table %s: %w", table, err)
	}
	return db.Create(ctx, table, key, "CREATE TABLE "+table+"\n("+strings.Join(columns, ", ")+")\n"+engine)
}

// columns are the names and types of a query's columns.
func (db *DB) columns(ctx context.Context, query string, args ...any) (columns []string, err error) {
	rows, err := db.conn.Query(ctx, "DESCRIBE TABLE ("+query+") SETTINGS describe_compact_output = 1", args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, err
		}
		columns = append(columns, quote(name)+" "+kind)
	}
	return columns, rows.Err()
}

// DropTables drops the tables that were made by [DB.Create] and whose names begin like
// that, but for one.
func (db *DB) DropTables(ctx context.Context, prefix, kept string) error {
	var names []string
	err := db.conn.QueryRow(ctx, "SELECT groupUniqArray(name) FROM "+db.System("tables")+" WHERE database = {database:String} AND startsWith(name, {prefix:String})",
		clickhouse.Named("database", db.database), clickhouse.Named("prefix", prefix)).Scan(&names)
	if err != nil {
		return fmt.Errorf("list tables %s…: %w", prefix, err)
	}
	var errs []error
	for _, name := range names {
		if kept != "" && (name == kept || name == db.Stored(kept)) {
			continue
		}
		if err := db.everywhere(ctx, "DROP TABLE IF EXISTS "+quote(name)+db.cluster.onCluster()+" SYNC"); err != nil {
			errs = append(errs, fmt.Errorf("drop table %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
