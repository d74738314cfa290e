package collector

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/mem"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// BenchmarkCollectStream measures the way from a client's batch to its durable
// acknowledgement: gRPC over loopback, the check of every event, group commit, and
// the embedded log with a sync per record. The clients send encoded batches.
func BenchmarkCollectStream(b *testing.B) {
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) { benchmarkStreams(b, 4, size) })
	}
}

func benchmarkStreams(b *testing.B, streams, size int) {
	const events = 100_000 // of one stream, per round
	c := serve(b, openLog(b, nil), nil)
	batch := encode(b, request(many(size, shown)...))
	b.ReportAllocs()
	b.SetBytes(int64(streams * events / size * len(batch)))
	for b.Loop() {
		var clients sync.WaitGroup
		for range streams {
			clients.Go(func() { sendAll(b, c, batch, events/size) })
		}
		clients.Wait()
	}
	total := float64(b.N * streams * events)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/total, "ns/event")
	b.ReportMetric(total/float64(c.Stats().Groups), "events/group")
}

// sendAll sends a batch n times on a stream of its own and takes the answers.
func sendAll(b *testing.B, c *running, batch []byte, n int) {
	stream, err := c.client.CollectStream(b.Context(), asIs())
	if err != nil {
		b.Error(err)
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		var answer flywheelv1.CollectStreamResponse
		for range n {
			if err := stream.RecvMsg(&answer); err != nil || answer.GetAccepted() == 0 {
				b.Errorf("answer %v, %v", &answer, err)
				return
			}
		}
	})
	for range n {
		if err := stream.SendMsg(batch); err != nil {
			b.Errorf("send: %v", err)
			break
		}
	}
	answers.Wait()
	if err := stream.CloseSend(); err != nil {
		b.Error(err)
	}
}

// BenchmarkCollect measures one client that sends batch after batch and waits for
// each: the latency of a durable acknowledgement.
func BenchmarkCollect(b *testing.B) {
	c := serve(b, openLog(b, nil), nil)
	batch := encode(b, request(many(100, shown)...))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.collectRaw(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSingleEvents measures clients that send one event at a time and wait for its
// durable acknowledgement: what many of them send shares a sync.
func BenchmarkSingleEvents(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			c := serve(b, openLog(b, nil), nil)
			batch := encode(b, request(shown(time.Now())))
			took := make([][]time.Duration, clients)
			var left atomic.Int64
			left.Store(int64(b.N))
			var sending sync.WaitGroup
			b.ResetTimer()
			for i := range clients {
				sending.Go(func() {
					for left.Add(-1) >= 0 {
						began := time.Now()
						if _, err := c.collectRaw(b.Context(), batch); err != nil {
							b.Error(err)
							return
						}
						took[i] = append(took[i], time.Since(began))
					}
				})
			}
			sending.Wait()
			all := slices.Concat(took...)
			slices.Sort(all)
			b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1e3, "p99-ms")
			b.ReportMetric(float64(b.N)/float64(c.Stats().Groups), "events/group")
		})
	}
}

// BenchmarkBegin measures the collector's own work on a batch of 100 events: check
// every event, copy them into a group. The log of this benchmark does nothing.
func BenchmarkBegin(b *testing.B) {
	c := idle(b, nullLog{}, nil)
	batch := encode(b, request(many(100, shown)...))
	b.ReportAllocs()
	for b.Loop() {
		inHand := c.begin(rpc.DefaultTenant, noop.Span{}, mem.SliceBuffer(batch))
		if _, refused := c.wait(inHand); refused != nil {
			b.Fatal(refused)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/event")
}

// nullLog acknowledges everything at once and keeps nothing.
type nullLog struct{ smallLog }

func (nullLog) MaxRecordBytes() int { return 8 << 20 }
