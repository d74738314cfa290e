package signal_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

// update rewrites the signals and rows in the scenario files from what the code does.
var update = flag.Bool("update", false, "rewrite what the events of testdata/*.txt give")

func TestMain(m *testing.M) { enginetest.Main(m) }

// TestScenarios runs every file of testdata (see the README there). Its events must
// give the same rows combined in order, combined in any other order and more than
// once, and stored one by one and merged by ClickHouse; and the same signals computed
// in Go and by the view.
func TestScenarios(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d scenarios, error %v", len(paths), err)
	}
	store := openStore(t)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			runScenario(t, store, path)
		})
	}
}

func runScenario(t *testing.T, s *store, path string) {
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, want, found := bytes.Cut(file, []byte("\ngives\n"))
	if !found {
		t.Fatal("there is no line 'gives'")
	}
	sc := parseScenario(t, string(head))
	tenant := filepath.Base(path)

	got := sc.combined(t, s, tenant, sc.events)
	if *update {
		if err := os.WriteFile(path, []byte(string(head)+"\ngives\n"+got), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("combined in order (-want +got):\n%s", diff)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		events := slices.Concat(sc.events, sc.events[:random.IntN(len(sc.events)+1)])
		random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		if diff := cmp.Diff(got, sc.combined(t, s, tenant, events)); diff != "" {
			t.Fatalf("shuffled and duplicated (-in order +shuffled):\n%s", diff)
		}
	}
	if diff := cmp.Diff(got, sc.merged(t, s, tenant)); diff != "" {
		t.Errorf("stored one by one and merged by ClickHouse (-combined +merged):\n%s", diff)
	}
}

// combined renders the rows of one batch of events.
func (sc *scenario) combined(t *testing.T, s *store, tenant string, events []namedEvent) string {
	t.Helper()
	var batch signal.Batch
	refused := map[string]string{}
	for _, event := range events {
		if err := batch.Add(tenant, decode(t, event.wire)); err != nil {
			refused[event.name] = err.Error()
		}
	}
	var r rendering
	definition := signal.DefaultDefinition()
	r.signals(sc, signalsOf(&definition, batch.Interactions))
	for _, table := range s.tables {
		columns := table.columns(&batch)
		r.table(sc, table, rowsOf(t, columns))
	}
	r.refused(refused)
	return r.String()
}

// signalsOf computes the signals of merged interactions in Go.
func signalsOf(d *signal.Definition, interactions []warehouse.Interaction) []signalRow {
	var rows []signalRow
	for i := range interactions {
		rows = append(rows, signalOf(d, &interactions[i]))
	}
	return rows
}

// merged stores each event's partial rows with an insert of their own, backwards, and
// renders what ClickHouse makes of them.
func (sc *scenario) merged(t *testing.T, s *store, tenant string) string {
	t.Helper()
	refused := map[string]string{}
	for _, event := range slices.Backward(sc.events) {
		var batch signal.Batch
		if err := batch.Add(tenant, decode(t, event.wire)); err != nil {
			refused[event.name] = err.Error()
		}
		for _, table := range s.tables {
			if err := s.db.Insert(t.Context(), table.name, table.columns(&batch)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var r rendering
	r.signals(sc, s.signals(t, tenant))
	for _, table := range s.tables {
		r.table(sc, table, s.read(t, table.name, tenant))
	}
	r.refused(refused)
	return r.String()
}

// decode decodes an event as processors do, into memory of its own.
func decode(t *testing.T, wire []byte) *flywheelv1.Event {
	t.Helper()
	event := &flywheelv1.Event{}
	if err := event.UnmarshalVTUnsafe(slices.Clone(wire)); err != nil {
		t.Fatal(err)
	}
	return event
}

// table is a table that rows go to, in the order of the scenario files.
type table struct {
	name string
	// columns takes the table's rows from a batch.
	columns func(*signal.Batch) warehouse.Columns
	// order has the names of all columns.
	order []string
}

func tables() []table {
	return []table{
		{name: "opportunities", columns: func(b *signal.Batch) warehouse.Columns {
			return filled(warehouse.NewOpportunities(), b.Opportunities)
		}},
		{name: "interactions", columns: func(b *signal.Batch) warehouse.Columns {
			return filled(warehouse.NewInteractions(), b.Interactions)
		}},
		{name: "content", columns: func(b *signal.Batch) warehouse.Columns {
			return filled(warehouse.NewContent(), b.Content)
		}},
		{name: "edits", columns: func(b *signal.Batch) warehouse.Columns {
			return filled(warehouse.NewEdits(), b.Edits)
		}},
		{name: "steps", columns: func(b *signal.Batch) warehouse.Columns {
			return filled(warehouse.NewSteps(), b.Steps)
		}},
	}
}

func filled[R any](table *warehouse.Table[R], rows []R) warehouse.Columns {
	table.Append(rows)
	return table
}

// rendering is rows in the form of the scenario files.
type rendering struct{ strings.Builder }

func (r *rendering) refused(reasons map[string]string) {
	for _, name := range slices.Sorted(mapKeys(reasons)) {
		fmt.Fprintf(r, "\nrefused %s\n  %s\n", name, reasons[name])
	}
}
