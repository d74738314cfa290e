package collector

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openLog opens an embedded log in a folder of the test's own.
func openLog(tb testing.TB, change func(*eventlog.Config)) *eventlog.Log {
	tb.Helper()
	cfg := eventlog.DefaultConfig()
	cfg.Dir = tb.TempDir()
	if change != nil {
		change(&cfg)
	}
	log, err := eventlog.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatalf("open log: %v", err)
	}
	tb.Cleanup(func() {
		if err := log.Close(); err != nil {
			tb.Errorf("close log: %v", err)
		}
	})
	return log
}

// running is a collector that serves, with a connection to it.
type running struct {
	*Collector

	conn   *grpc.ClientConn
	client flywheelv1.CollectorServiceClient
	stop   func() error // stops the collector and gives the result of Serve
}

// serve runs a collector on a port of its own. When the test ends it must stop
// cleanly and hold no memory of any batch.
func serve(tb testing.TB, log Publisher, change func(*Config)) *running {
	tb.Helper()
	c := newCollector(tb, log, change)
	var listen net.ListenConfig
	lis, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx, lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tb.Fatalf("NewClient: %v", err)
	}
	stop := func() error {
		cancel()
		err := <-served
		served <- err
		return err
	}
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Errorf("Serve: %v", err)
		}
		if err := conn.Close(); err != nil {
			tb.Errorf("close connection: %v", err)
		}
		if held := c.waiting.Load(); held != 0 {
			tb.Errorf("%d bytes are still accounted for after the stop", held)
		}
	})
	return &running{Collector: c, conn: conn, client: flywheelv1.NewCollectorServiceClient(conn), stop: stop}
}

// request returns a batch of events.
func request(events ...*flywheelv1.Event) *flywheelv1.CollectRequest {
	return &flywheelv1.CollectRequest{BatchId: newID(time.Now()), Events: events}
}

// many returns n events made by make.
func many(n int, create func(time.Time) *flywheelv1.Event) []*flywheelv1.Event {
	events := make([]*flywheelv1.Event, n)
	for i := range events {
		events[i] = create(time.Now())
	}
	return events
}

// rawCodec lets a test send bytes that are no protobuf message.
type rawCodec struct{ encoding.CodecV2 }

func asIs() grpc.CallOption {
	return grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2(proto.Name)})
}

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// collectRaw sends bytes as a CollectRequest.
func (r *running) collectRaw(ctx context.Context, b []byte) (*flywheelv1.CollectResponse, error) {
	response := &flywheelv1.CollectResponse{}
	err := r.conn.Invoke(ctx, flywheelv1.CollectorService_Collect_FullMethodName, b, response, asIs())
	return response, err
}

// stored is one batch as the log has it.
type stored struct {
	batch  *flywheelv1.LogBatch
	events [][]byte // as they came
	record int      // size of the record that holds it
}

// readLog returns what a lane of the log holds. It may be called once per lane.
func readLog(tb testing.TB, log *eventlog.Log, lane eventlog.Lane) []stored {
	tb.Helper()
	records, err := log.Pending(tb.Context(), lane)
	if err != nil {
		tb.Fatalf("pending %v: %v", lane, err)
	}
	consumer, err := log.Consume(context.Background(), lane)
	if err != nil {
		tb.Fatalf("consume %v: %v", lane, err)
	}
	defer consumer.Close()
	var batches []stored
	for range records {
		message, err := consumer.Next(tb.Context())
		if err != nil {
			tb.Fatalf("next %v: %v", lane, err)
		}
		batches = append(batches, parseRecord(tb, message.Data())...)
		if err := message.Ack(); err != nil {
			tb.Fatalf("ack: %v", err)
		}
	}
	return batches
}

func parseRecord(tb testing.TB, data []byte) []stored {
	tb.Helper()
	var record flywheelv1.LogRecord
	if err := record.UnmarshalVT(data); err != nil {
		tb.Fatalf("decode record: %v", err)
	}
	var batches []stored
	for rest := data; len(rest) > 0; {
		_, _, n := protowire.ConsumeTag(rest)
		batch, size := protowire.ConsumeBytes(rest[n:])
		rest = rest[n+size:]
		b := stored{batch: record.GetBatches()[len(batches)], record: len(data)}
		for len(batch) > 0 {
			number, wire, n := protowire.ConsumeTag(batch)
			size := protowire.ConsumeFieldValue(number, wire, batch[n:])
			if number == eventsNumber {
				event, _ := protowire.ConsumeBytes(batch[n:])
				b.events = append(b.events, bytes.Clone(event))
			}
			batch = batch[n+size:]
		}
		batches = append(batches, b)
	}
	return batches
}

// eventIDs returns the ids of the events in the log, how often each occurs.
func eventIDs(batches []stored) map[string]int {
	ids := make(map[string]int)
	for _, b := range batches {
		for _, e := range b.batch.GetEvents() {
			ids[string(e.GetEventId())]++
		}
	}
	return ids
}

// gate is a log whose publishes wait until they are let through, or fail.
type gate struct {
	Publisher

	entered chan eventlog.Lane // gets every publish that begins
	pass    chan error         // nil lets one publish through, an error fails it
}

func newGate(log Publisher) *gate {
	return &gate{Publisher: log, entered: make(chan eventlog.Lane, 1024), pass: make(chan error)}
}

// Publish waits at the gate and then publishes.
func (g *gate) Publish(ctx context.Context, lane eventlog.Lane, record []byte) error {
	g.entered <- lane
	select {
	case err, ok := <-g.pass:
		if ok && err != nil {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("wait at the gate: %w", ctx.Err())
	}
	return g.Publisher.Publish(ctx, lane, record)
}

// open lets everything through from now on.
func (g *gate) open() { close(g.pass) }
