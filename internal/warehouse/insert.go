package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"go.opentelemetry.io/otel/trace"
)

// Columns is one table's rows, column by column. The caller owns the memory and may
// reuse it once [DB.Insert] has returned.
type Columns interface {
	// Len is the number of rows.
	Len() int
	// Names are the names of the table's columns, in the order of Values.
	Names() []string
	// Values are slices of Len elements each, of types that clickhouse-go appends
	// to the columns.
	Values() []any
}

// Insert stores rows as one block; no rows are no work. When it returns without an
// error, ClickHouse has confirmed them. After an error some partitions' rows may be
// stored already, which does no harm where rows merge idempotently. [Permanent]
// says whether inserting the same rows again can help. ClickHouse is told of a sampled
// span of ctx, and notes its own ones in system.opentelemetry_span_log if it keeps that.
func (db *DB) Insert(ctx context.Context, table string, cols Columns) error {
	if cols.Len() == 0 {
		return nil
	}
	if err := db.insert(ctx, table, cols.Names(), cols.Values()); err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", cols.Len(), table, err)
	}
	return nil
}

func (db *DB) insert(ctx context.Context, table string, names []string, values []any) error {
	if len(names) != len(values) {
		return permanentError{fmt.Errorf("%d names for %d columns", len(names), len(values))}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		ctx = clickhouse.Context(ctx, clickhouse.WithSpan(span))
	}
	batch, err := db.conn.PrepareBatch(ctx, insertStatement(table, names))
	if err != nil {
		return err
	}
	defer func() { _ = batch.Close() }() // of no effect once it is sent
	for i, column := range values {
		if err := batch.Column(i).Append(column); err != nil {
			return permanentError{fmt.Errorf("column %s: %w", names[i], err)}
		}
	}
	return batch.Send()
}

func insertStatement(table string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return "INSERT INTO " + quote(table) + " (" + strings.Join(quoted, ", ") + ")"
}
