package eventlog

import (
	"sync"
	"testing"
)

const (
	benchRecord   = 512 << 10
	benchInFlight = 4
)

// BenchmarkPublish publishes records of the size of a usual group, four at a time,
// each synced to disk.
func BenchmarkPublish(b *testing.B) {
	log := open(b, benchConfig(b))
	record := make([]byte, benchRecord)
	b.SetBytes(benchRecord)
	b.ReportAllocs()
	var group sync.WaitGroup
	slots := make(chan struct{}, benchInFlight)
	for b.Loop() {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			if err := log.Publish(b.Context(), Outcome, record); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
}

// BenchmarkConsume reads and acknowledges records, delivered anew each time round.
func BenchmarkConsume(b *testing.B) {
	log := open(b, benchConfig(b))
	const stored = 64
	var group sync.WaitGroup
	for range stored {
		group.Go(func() {
			if err := log.Publish(b.Context(), Outcome, make([]byte, benchRecord)); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
	consumer, err := log.Consume(b.Context(), Outcome)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchRecord)
	b.ReportAllocs()
	for b.Loop() {
		m, err := consumer.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if m.Sequence() < stored {
			err = m.Ack()
		} else {
			// The answer to the last record starts over: everything comes again.
			_, err = log.consuming.js.ResetConsumerToSequence(b.Context(), log.lanes[Outcome].all()[0].name, durable, 1)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchConfig(b *testing.B) Config {
	b.Helper()
	cfg := config(b.TempDir())
	cfg.Outcome.MaxBytes = 64 << 30
	return cfg
}
