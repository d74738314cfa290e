package processor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
)

// blockOfRows returns rows of at least 50,000 interactions.
func blockOfRows(b *testing.B) *signal.Batch {
	b.Helper()
	random := rand.New(rand.NewPCG(9, 9))
	rows := &signal.Batch{}
	for len(rows.Interactions) < 50_000 {
		for _, e := range sessions(random, 1000) {
			if err := rows.Add(e.tenant, e.event); err != nil {
				b.Fatal(err)
			}
		}
	}
	return rows
}

// BenchmarkInsert measures how long ClickHouse takes per row and table, in blocks of
// about 50,000 rows.
func BenchmarkInsert(b *testing.B) {
	rows := blockOfRows(b)
	b.Run("interactions", func(b *testing.B) { benchmarkInsert(b, "interactions", warehouse.NewInteractions(), rows.Interactions) })
	b.Run("opportunities", func(b *testing.B) {
		benchmarkInsert(b, "opportunities", warehouse.NewOpportunities(), rows.Opportunities)
	})
	b.Run("content", func(b *testing.B) { benchmarkInsert(b, "content", warehouse.NewContent(), rows.Content) })
	b.Run("edits", func(b *testing.B) { benchmarkInsert(b, "edits", warehouse.NewEdits(), rows.Edits) })
	b.Run("steps", func(b *testing.B) { benchmarkInsert(b, "steps", warehouse.NewSteps(), rows.Steps) })
}

func benchmarkInsert[R any](b *testing.B, name string, table *warehouse.Table[R], rows []R) {
	p := newPipeline(b)
	rows = rows[:min(len(rows), 50_000)]
	b.ReportAllocs()
	for b.Loop() {
		table.Reset()
		table.Append(rows)
		if err := p.db.Insert(b.Context(), name, table); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

// BenchmarkSync compares inserts that the engine syncs to disk, as it does by default,
// with ones that it does not, in turn so that both meet the same load beside them
// (docs/adr/006). It reports medians.
func BenchmarkSync(b *testing.B) {
	rows := blockOfRows(b)
	for _, n := range []int{300, 5_000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkSync(b, rows.Interactions[:n]) })
	}
}

func benchmarkSync(b *testing.B, rows []warehouse.Interaction) {
	synced, unsynced := newPipeline(b).db, newPipeline(b).db
	err := unsynced.Conn().Exec(b.Context(), "ALTER TABLE interactions MODIFY SETTING fsync_after_insert = 0, fsync_part_directory = 0")
	if err != nil {
		b.Fatal(err)
	}
	table := warehouse.NewInteractions()
	table.Append(rows)
	var took [2][]time.Duration
	for b.Loop() {
		for i, db := range []*warehouse.DB{synced, unsynced} {
			began := time.Now()
			if err := db.Insert(b.Context(), "interactions", table); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	for i, unit := range []string{"synced-ms", "unsynced-ms"} {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds())/1000, unit)
	}
}

// BenchmarkProcess measures events from the log to confirmed rows, in records of
// 1,000 events: what the collector makes under load.
func BenchmarkProcess(b *testing.B) {
	random := rand.New(rand.NewPCG(8, 8))
	events := sessions(random, 20_000)
	p := newPipeline(b)
	b.ReportAllocs()
	var total, rows uint64
	for b.Loop() {
		b.StopTimer()
		publishThousands(p, events)
		b.StartTimer()
		proc, stop := p.run(func(c *processor.Config) { c.MaxDelay = processor.DefaultConfig().MaxDelay })
		p.drained()
		stop()
		total, rows = total+proc.Stats().Events, rows+proc.Stats().Rows
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(total)/float64(rows), "events/row")
}

func publishThousands(p *pipeline, events []sent) {
	for _, lane := range eventlog.Lanes() {
		batch := &flywheelv1.LogBatch{Tenant: "default"}
		for _, e := range events {
			if e.lane != lane {
				continue
			}
			if batch.Events = append(batch.Events, e.event); len(batch.Events) == 1000 {
				p.publish(lane, batch)
				batch.Events = batch.Events[:0]
			}
		}
		p.publish(lane, batch)
	}
}
