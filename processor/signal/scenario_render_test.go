package signal_test

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// store is a database with all tables.
type store struct {
	db     *warehouse.DB
	tables []table
}

func openStore(t *testing.T) *store {
	t.Helper()
	db, err := warehouse.Open(t.Context(), enginetest.DSN(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &store{db: db, tables: tables()}
	for i := range s.tables {
		query := "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = ? ORDER BY position"
		var names []struct {
			Name string `ch:"name"`
		}
		if err := db.Conn().Select(t.Context(), &names, query, s.tables[i].name); err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			s.tables[i].order = append(s.tables[i].order, n.Name)
		}
	}
	return s
}

// read returns a tenant's rows as ClickHouse merges them.
func (s *store) read(t *testing.T, name, tenant string) []map[string]any {
	t.Helper()
	rows, err := s.db.Conn().Query(t.Context(), "SELECT * FROM "+name+" FINAL WHERE tenant = ?", tenant)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []map[string]any
	for rows.Next() {
		targets := make([]any, len(rows.Columns()))
		for i, kind := range rows.ColumnTypes() {
			targets[i] = reflect.New(kind.ScanType()).Interface()
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		row := map[string]any{}
		for i, name := range rows.Columns() {
			row[name] = reflect.ValueOf(targets[i]).Elem().Interface()
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// rowsOf reads the rows of columns as ClickHouse would.
func rowsOf(t *testing.T, columns warehouse.Columns) []map[string]any {
	t.Helper()
	var rows []map[string]any
	input, next := columns.Blocks()
	for next() == nil {
		first, n := len(rows), input[0].Data.Rows()
		for range n {
			rows = append(rows, map[string]any{})
		}
		for _, c := range input {
			var sent proto.Buffer
			c.Data.EncodeColumn(&sent)
			received, err := column.Type(c.Data.Type()).Column(c.Name, &column.ServerContext{})
			if err != nil {
				t.Fatal(err)
			}
			if err := received.Decode(sent.Reader(), n); err != nil {
				t.Fatalf("column %s: %v", c.Name, err)
			}
			for i := range n {
				rows[first+i][c.Name] = received.Row(i, false)
			}
		}
	}
	return rows
}

// signals writes the labels and rewards under the default definition.
func (r *rendering) signals(sc *scenario, rows []signalRow) {
	var blocks []string
	for _, row := range rows {
		var parts []string
		for _, part := range []struct {
			name  string
			value int64
		}{{"outcome", row.Outcome}, {"retention", row.Retention}, {"kept", row.Kept}, {"feedback", row.Feedback}, {"task", row.Task}} {
			if part.value != 0 {
				parts = append(parts, fmt.Sprintf("%s %v", part.name, float64(part.value)/10000))
			}
		}
		reward := fmt.Sprint(row.Reward)
		if len(parts) > 0 {
			reward += " = " + strings.Join(parts, " + ")
		}
		if row.Total != row.Outcome+row.Retention+row.Kept+row.Feedback+row.Task {
			reward += ", cut"
		}
		blocks = append(blocks, fmt.Sprintf("  %-20s %s\n  %-20s %s\n  %-20s %s\n  %-20s %s\n",
			"interaction", sc.names[row.InteractionID], "label", row.Label, "reward", reward, "settles_at", since(row.SettlesAt)))
	}
	slices.Sort(blocks)
	for _, block := range blocks {
		fmt.Fprintf(r, "\nsignal\n%s", block)
	}
}

// table writes a table's rows in the order of their ids' times and names. Equal rows
// are written once: they replace each other in the table.
func (r *rendering) table(sc *scenario, t table, rows []map[string]any) {
	var blocks []string
	for _, row := range rows {
		var block strings.Builder
		for _, column := range t.order {
			if text := sc.render(column, row[column]); text != "" && column != "tenant" {
				fmt.Fprintf(&block, "  %-20s %s\n", column, text)
			}
		}
		blocks = append(blocks, block.String())
	}
	slices.Sort(blocks)
	for _, block := range slices.Compact(blocks) {
		fmt.Fprintf(r, "\n%s\n%s", t.name, block)
	}
}

// render writes a value for people; empty for a column that no event has set.
func (sc *scenario) render(column string, value any) string {
	v := reflect.ValueOf(value)
	if !v.IsValid() || v.IsZero() {
		return ""
	}
	switch value := value.(type) {
	case time.Time:
		if value.UnixNano() == 0 {
			return ""
		}
		return since(value)
	case uuid.UUID:
		return sc.names[value]
	case *float32:
		return fmt.Sprint(*value)
	case *uint8:
		return fmt.Sprint(*value)
	case string:
		if strings.ContainsAny(value, " \n\t") {
			return fmt.Sprintf("%q", value)
		}
		return value
	}
	if v.CanUint() {
		return renderNumber(column, v.Uint())
	}
	return renderNumber(column, uint64(v.Int()))
}

// renderNumber unpacks what columns pack.
func renderNumber(column string, n uint64) string {
	at := since(time.UnixMicro(int64(n << 2 >> 10)))
	switch {
	case column == "outcome_rank":
		return fmt.Sprintf("%s at %s (class %d)", name(flywheelv1.Outcome(n&255)), at, n>>62)
	case column == "thumb_rank":
		return fmt.Sprintf("%s at %s", name(flywheelv1.Thumb(n&255)), at)
	case column == "rating_rank":
		return fmt.Sprintf("%d at %s", n&255-1, at)
	case column == "task_results":
		return bits(n, func(i int) string { return name(flywheelv1.TaskResult(i)) })
	case column == "consents":
		return bits(n, func(i int) string { return name(flywheelv1.Consent(i)) })
	case column == "consent":
		return name(flywheelv1.Consent(n))
	case column == "source":
		return name(flywheelv1.EditSource(n))
	case column == "branch_changed":
		delays := warehouse.RetentionDelays()
		return bits(n, func(i int) string { return fmt.Sprintf("%ds", delays[i]) })
	case strings.HasPrefix(column, "retained_chars_"):
		return fmt.Sprint(n - 1)
	case strings.HasPrefix(column, "four_gram_"):
		return fmt.Sprint(float64(n-1) / 10000)
	case strings.HasSuffix(column, "_us"):
		return (time.Duration(n) * time.Microsecond).String()
	default:
		return fmt.Sprint(n)
	}
}

func since(t time.Time) string { return "+" + t.Sub(zero).String() }

func bits(n uint64, name func(int) string) string {
	var names []string
	for i := range 64 {
		if n>>i&1 == 1 {
			names = append(names, name(i))
		}
	}
	return strings.Join(names, ", ")
}

// name is an enum value as scenarios write it.
func name(v interface {
	Descriptor() protoreflect.EnumDescriptor
	Number() protoreflect.EnumNumber
}) string {
	values := v.Descriptor().Values()
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(values.ByNumber(v.Number()).Name()), prefix))
}
