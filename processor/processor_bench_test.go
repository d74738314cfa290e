package processor_test

import (
	"math/rand/v2"
	"testing"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
)

// BenchmarkInsert measures how long ClickHouse takes per row and table, in blocks of
// about 50,000 rows.
func BenchmarkInsert(b *testing.B) {
	random := rand.New(rand.NewPCG(9, 9))
	var rows signal.Batch
	for len(rows.Interactions) < 50_000 {
		for _, e := range sessions(random, 1000) {
			if err := rows.Add(e.tenant, e.event); err != nil {
				b.Fatal(err)
			}
		}
	}
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
