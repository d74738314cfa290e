package processor_test

import (
	"math/rand/v2"
	"testing"

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

// BenchmarkProcess measures events from the log to confirmed rows.
func BenchmarkProcess(b *testing.B) {
	random := rand.New(rand.NewPCG(8, 8))
	events := sessions(random, 10_000)
	p := newPipeline(b)
	proc, _ := p.run(func(c *processor.Config) { c.MaxDelay = processor.DefaultConfig().MaxDelay })
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		p.publishAll(random, events)
		b.StartTimer()
		p.drained()
	}
	b.ReportMetric(float64(proc.Stats().Events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(proc.Stats().Events)/float64(proc.Stats().Rows), "events/row")
}
