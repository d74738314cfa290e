package eventlog

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	benchRecord   = 512 << 10
	benchInFlight = 4
)

// BenchmarkPublish publishes records of the size of a usual group, four at a time,
// each synced to disk.
func BenchmarkPublish(b *testing.B) {
	benchPublish(b, open(b, benchConfig(b)), benchRecord)
}

// BenchmarkShards publishes as BenchmarkPublish does, to the embedded log and to a
// cluster of three servers in this process, with one shard and with two.
func BenchmarkShards(b *testing.B) {
	for _, replicas := range []int{0, 1, 3} {
		for _, shards := range []int{1, 2} {
			for _, size := range []int{64 << 10, benchRecord} {
				kind := fmt.Sprintf("cluster-R%d", replicas)
				if replicas == 0 {
					kind = "embedded"
				}
				b.Run(fmt.Sprintf("%s/shards=%d/%dKiB", kind, shards, size>>10), func(b *testing.B) {
					cfg := benchConfig(b)
					cfg.Shards = shards
					if replicas > 0 {
						servers := natsCluster(b, func(o *server.Options) { o.SyncAlways = true })
						cfg = clusterConfig(servers, replicas, shards)
					}
					benchPublish(b, open(b, cfg), size)
				})
			}
		}
	}
}

// benchPublish reports throughput and how long a record took.
func benchPublish(b *testing.B, log *Log, size int) {
	b.Helper()
	record := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	slots := make(chan struct{}, benchInFlight)
	for b.Loop() {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			start := time.Now()
			if err := log.Publish(b.Context(), Outcome, record); err != nil {
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(start))
		})
	}
	group.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
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
