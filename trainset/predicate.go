package trainset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// allowedFunctions are the functions of a predicate: those that only compute, from
// nothing but their arguments.
var allowedFunctions = strings.Fields(`
	and or not xor if multiIf equals notEquals less greater lessOrEquals greaterOrEquals
	in notIn like ilike notLike notILike match startsWith endsWith position positionCaseInsensitive
	isNull isNotNull ifNull coalesce assumeNotNull toNullable
	plus minus multiply divide intDiv modulo negate abs least greatest round floor ceil
	length lengthUTF8 empty notEmpty lower upper lowerUTF8 upperUTF8 substring concat
	tuple array has hasAny hasAll indexOf arrayElement arrayExists arrayAll arrayCount arraySum arrayMin arrayMax
	arrayMap arrayFilter arrayFirst arrayLast lambda tupleElement
	toString toUUID toDate toDateTime toDateTime64 toYear toMonth toDayOfMonth toDayOfWeek toHour toStartOfDay toStartOfHour
	toIntervalDay toIntervalHour toIntervalMinute toIntervalSecond addDays addHours
	toUInt8 toUInt16 toUInt32 toUInt64 toInt8 toInt16 toInt32 toInt64 toFloat64 _CAST CAST
	cityHash64 sipHash64 bitAnd bitOr bitTest between`)

// checkPredicate refuses a predicate that is more than a condition on the columns of
// training_signals. ClickHouse itself parses it, so that we cannot disagree about what it
// means.
func checkPredicate(ctx context.Context, db *warehouse.DB, predicate string) error {
	if predicate == "" {
		return nil
	}
	const field = "selection.predicate"
	tree, err := column(ctx, db, "EXPLAIN AST SELECT (\n"+predicate+"\n)")
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return rpc.Violations{rpc.Violation(field, "not a condition in ClickHouse SQL: %s", firstLine(exception.Message))}.Err()
	}
	if err != nil {
		return fmt.Errorf("check predicate: %w", err)
	}
	tables, err := column(ctx, db, "SELECT name FROM system.tables WHERE database = currentDatabase()")
	if err != nil {
		return fmt.Errorf("check predicate: %w", err)
	}
	columns, err := column(ctx, db, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'training_signals'")
	if err != nil {
		return fmt.Errorf("check predicate: %w", err)
	}
	if problem := refused(tree, columns, tables); problem != "" {
		return rpc.Violations{rpc.Violation(field, "%s: only conditions on the columns of training_signals are possible", problem)}.Err()
	}
	var none uint64
	err = db.Conn().QueryRow(ctx, "SELECT count() FROM training_signals WHERE tenant = '' AND started_at = toDateTime64(0, 3, 'UTC') AND (\n"+predicate+"\n)").Scan(&none)
	if errors.As(err, &exception) {
		return rpc.Violations{rpc.Violation(field, "ClickHouse refuses it: %s", firstLine(exception.Message))}.Err()
	}
	if err != nil {
		return fmt.Errorf("check predicate: %w", err)
	}
	return nil
}

// column reads the one column of a query.
func column(ctx context.Context, db *warehouse.DB, query string) (values []string, err error) {
	rows, err := db.Conn().Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		values = append(values, strings.TrimSpace(line))
	}
	return values, rows.Err()
}

// refused names the first thing in a syntax tree, a node per line, that a predicate may
// not have, or nothing. Names are those of columns, or of a lambda's arguments, but not
// those of tables, which IN would read.
func refused(tree, columns, tables []string) string {
	// What the one SELECT around the predicate consists of.
	frame := []string{"SelectWithUnionQuery", "ExpressionList", "SelectQuery", "ExpressionList"}
	for i, line := range tree {
		kind, rest, _ := strings.Cut(line, " ")
		name, _, _ := strings.Cut(rest, " ")
		switch {
		case i < len(frame):
			if kind != frame[i] || !strings.Contains(line, "(children 1)") {
				return "more than one expression"
			}
		case kind == "Identifier" && !slices.Contains(columns, name) && (strings.Contains(name, ".") || slices.Contains(tables, name)):
			return "the table " + name
		case kind == "Identifier" || kind == "Literal" || kind == "ExpressionList":
		case kind == "Function" && slices.Contains(allowedFunctions, name):
		case kind == "Function":
			return "the function " + name
		default:
			return "a " + kind
		}
	}
	return ""
}

// firstLine is the part of ClickHouse's message that says what is wrong.
func firstLine(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	line, _, _ = strings.Cut(line, ": In scope")
	const most = 300
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
