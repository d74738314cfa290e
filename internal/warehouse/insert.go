package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"go.opentelemetry.io/otel/trace"
)

// Columns is one table's rows, column by column: a [Table].
type Columns interface {
	// Len is the number of rows.
	Len() int
	// Blocks are the first column and those of which some row has a value, still empty,
	// and a function that puts the next rows into them, or returns io.EOF when there are
	// no more. The others are left out of inserts: ClickHouse fills them in by itself.
	Blocks() (columns proto.Input, next func() error)
}

// Insert stores rows by one INSERT, which makes one part in each of their partitions; no
// rows are no work. When it returns without an error, ClickHouse has confirmed them. After
// an error some partitions' rows may be stored already, which does no harm where rows
// merge idempotently. [Permanent] says whether inserting the same rows again can help.
// ClickHouse is told of a sampled span of ctx, and notes its own ones in
// system.opentelemetry_span_log if it keeps that. It takes a megabyte of memory, however
// many rows there are, and twice that where the connection compresses.
func (db *DB) Insert(ctx context.Context, table string, cols Columns) error {
	if cols.Len() == 0 {
		return nil
	}
	if err := db.insert(ctx, table, cols); err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", cols.Len(), table, err)
	}
	return nil
}

func (db *DB) insert(ctx context.Context, table string, cols Columns) error {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	ctx, cancel := context.WithTimeout(ctx, db.options.ReadTimeout)
	defer cancel()
	client := db.inserting.take()
	if client == nil {
		var err error
		if client, err = db.dialColumns(ctx); err != nil {
			return err
		}
	}
	input, next := cols.Blocks()
	err := client.Do(ctx, ch.Query{
		Body: insertStatement(table, input), Settings: db.insertSettings(table),
		Input: input, OnInput: func(context.Context) error { return next() },
	})
	if err != nil {
		db.inserting.drop(client)
		return err
	}
	db.inserting.put(client)
	return nil
}

func insertStatement(table string, input proto.Input) string {
	quoted := make([]string, len(input))
	for i, column := range input {
		quoted[i] = quote(column.Name)
	}
	return "INSERT INTO " + quote(table) + " (" + strings.Join(quoted, ", ") + ") VALUES"
}
