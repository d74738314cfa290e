package collector

import (
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc/mem"

	"github.com/yirifi/flywheel/internal/rpc"
)

// TestAllocationsPerBatch bounds what each stage of a batch allocates, however many
// events it has.
func TestAllocationsPerBatch(t *testing.T) {
	c := newCollector(t, nullLog{}, nil)
	wire := newCodec(&pool{})
	raw := encode(t, request(slices.Concat(many(500, shown), many(500, edit))...))
	limits := &limits{plan: c.plan, bytes: len(raw), events: 1000, runBytes: c.partBytes(), window: newWindow(time.Now(), c.cfg.MaxAge, c.cfg.MaxFutureSkew)}
	b := &batch{raw: raw, tenant: rpc.DefaultTenant, span: noop.Span{}, received: time.Now()}
	b.read(limits)
	if b.refused != nil || len(b.rejected) > 0 || len(b.runs) != 2 {
		t.Fatalf("refused %+v, rejected %v, %d runs", b.refused, b.rejected, len(b.runs))
	}
	record := make([]byte, 0, 2*len(raw))
	var request rawMessage
	frames := mem.BufferSlice{mem.SliceBuffer(raw[:1000]), mem.SliceBuffer(raw[1000:])}
	q := streamQueue{service: &service{Collector: c}}
	for name, stage := range map[string]struct {
		most float64
		run  func()
	}{
		"receive in two frames": {most: 0, run: func() {
			if err := wire.Unmarshal(frames, &request); err != nil {
				t.Error(err)
			}
			request.buffer.Free()
		}},
		"read": {most: 0, run: func() {
			b.id, b.events, b.runs = nil, 0, b.runs[:0]
			b.read(limits)
		}},
		"append to a group": {most: 0, run: func() {
			record = appendPart(record[:0], b, part{lane: b.runs[0].lane, to: len(b.runs)}, b.runs[0].end-b.runs[0].start)
		}},
		"answer": {most: 7, run: func() {
			answer, err := wire.Marshal(q.response(b))
			if err != nil {
				t.Error(err)
			}
			answer.Free()
		}},
	} {
		if got := testing.AllocsPerRun(100, stage.run); got > stage.most {
			t.Errorf("%s: %v allocations, want at most %v", name, got, stage.most)
		}
	}
}

// TestPoolFits: a buffer is as long as asked for, at most twice as large, and is reused.
func TestPoolFits(t *testing.T) {
	t.Parallel()
	var p pool
	for _, length := range []int{0, 1, 256, 2048, 2049, 33_000, 95_000, 1 << 20, 1<<23 - 1, 1 << 23, 1<<23 + 1} {
		b := p.Get(length)
		if len(*b) != length || cap(*b) > max(2*length, 1) {
			t.Errorf("for %d bytes: got %d, %d in all", length, len(*b), cap(*b))
		}
		p.Put(b)
		p.Put(new((*b)[: 0 : cap(*b)/2])) // not one of its own sizes, or a smaller one
		if again := p.Get(length); len(*again) != length {
			t.Errorf("for %d bytes again: got %d", length, len(*again))
		}
	}
}
