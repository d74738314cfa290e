package flywheel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is one batch as it arrived.
type received struct {
	at     time.Time
	id     string
	raw    []byte
	events []*flywheelv1.Event
	tenant []string
}

// reply is what the fake does about a batch: it answers, or ends the stream with an
// error or without one, or reads on without an answer, or hangs and reads no more.
type reply struct {
	answer            *flywheelv1.CollectStreamResponse
	err               error
	silent, hang, end bool
}

// fake is a collector that keeps what it gets and answers as a test wants. Its answer
// to a batch is that of decide, which gets the number of batches before; nil takes
// every batch.
type fake struct {
	flywheelv1.UnimplementedCollectorServiceServer

	decide func(n int, req *flywheelv1.CollectStreamRequest) reply

	mu       sync.Mutex
	listener *bufconn.Listener
	server   *grpc.Server
	served   chan struct{}
	batches  []received
	streams  int
	raw      map[*flywheelv1.CollectStreamRequest][]byte
}

// newFake starts a fake.
func newFake(t testing.TB, decide func(n int, req *flywheelv1.CollectStreamRequest) reply) *fake {
	t.Helper()
	f := &fake{decide: decide, raw: map[*flywheelv1.CollectStreamRequest][]byte{}}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fake) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listener, f.served = bufconn.Listen(1<<20), make(chan struct{})
	f.server = grpc.NewServer(grpc.ForceServerCodecV2(f), grpc.WaitForHandlers(true))
	flywheelv1.RegisterCollectorServiceServer(f.server, f)
	go serve(f.server, f.listener, f.served)
}

// serve serves until the server is stopped.
func serve(server *grpc.Server, listener net.Listener, served chan<- struct{}) {
	defer close(served)
	_ = server.Serve(listener) // nil after Stop
}

// stop cuts every connection.
func (f *fake) stop() {
	f.mu.Lock()
	server, served := f.server, f.served
	f.server, f.listener = nil, nil
	f.mu.Unlock()
	if server != nil {
		server.Stop()
		<-served
	}
}

func (f *fake) dial(ctx context.Context, _ string) (net.Conn, error) {
	f.mu.Lock()
	listener := f.listener
	f.mu.Unlock()
	if listener == nil {
		return nil, errors.New("connection refused")
	}
	return listener.DialContext(ctx)
}

// Name, Marshal and Unmarshal make the fake a codec that keeps the bytes of batches.
func (f *fake) Name() string { return "proto" }

func (f *fake) Marshal(v any) (mem.BufferSlice, error) {
	data, err := proto.Marshal(v.(proto.Message))
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

func (f *fake) Unmarshal(data mem.BufferSlice, v any) error {
	raw := data.Materialize()
	if req, ok := v.(*flywheelv1.CollectStreamRequest); ok {
		f.mu.Lock()
		f.raw[req] = raw
		f.mu.Unlock()
	}
	return proto.Unmarshal(raw, v.(proto.Message))
}

func (f *fake) CollectStream(stream grpc.BidiStreamingServer[flywheelv1.CollectStreamRequest, flywheelv1.CollectStreamResponse]) error {
	f.mu.Lock()
	f.streams++
	f.mu.Unlock()
	md, _ := metadata.FromIncomingContext(stream.Context())
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		n := len(f.batches)
		f.batches = append(f.batches, received{
			at: time.Now(), id: string(req.GetBatchId()), raw: f.raw[req], events: req.GetEvents(), tenant: md.Get("flywheel-tenant"),
		})
		delete(f.raw, req)
		f.mu.Unlock()
		r := reply{answer: taken(req)}
		if f.decide != nil {
			r = f.decide(n, req)
		}
		switch {
		case r.err != nil:
			return r.err
		case r.silent:
		case r.end:
			return nil
		case r.hang:
			<-stream.Context().Done()
			return stream.Context().Err()
		default:
			if err := stream.Send(r.answer); err != nil {
				return err
			}
		}
	}
}

// taken answers that every event of a batch is durable.
func taken(req *flywheelv1.CollectStreamRequest) *flywheelv1.CollectStreamResponse {
	return &flywheelv1.CollectStreamResponse{BatchId: req.GetBatchId(), Accepted: uint32(len(req.GetEvents()))}
}

// take answers a batch as [taken] does.
func take(req *flywheelv1.CollectStreamRequest) reply { return reply{answer: taken(req)} }

// got returns the batches so far, those sent again included.
func (f *fake) got() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.batches)
}

// events returns the events so far by their order of arrival.
func (f *fake) events() []*flywheelv1.Event {
	var all []*flywheelv1.Event
	for _, b := range f.got() {
		all = append(all, b.events...)
	}
	return all
}

// dial makes a client of the fake, which is closed when the test ends.
func dial(t testing.TB, f *fake, opts ...flywheel.Option) *flywheel.Client {
	t.Helper()
	client, err := flywheel.Dial("passthrough:///fake", append([]flywheel.Option{
		flywheel.WithInsecure(), flywheel.WithDialOptions(grpc.WithContextDialer(f.dial)),
		flywheel.WithLogger(slog.New(slog.DiscardHandler)),
	}, opts...)...)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = client.Close(ended)
	})
	return client
}

// flush flushes and fails the test if that fails.
func flush(t testing.TB, client *flywheel.Client) {
	t.Helper()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

// check compares the numbers of a client that matter for delivery.
func check(t testing.TB, client *flywheel.Client, want flywheel.Stats) {
	t.Helper()
	if got := client.Stats(); got != want {
		t.Errorf("Stats:\n got %+v\nwant %+v", got, want)
	}
}

// selections emits n events of which each has its number.
func selections(s *flywheel.Session, from, n int) {
	for i := range n {
		s.Selection(flywheel.Selection{Document: "doc", Version: uint64(from + i)})
	}
}

// numbers returns the numbers of the events that [selections] emitted.
func numbers(events []*flywheelv1.Event) []int {
	var all []int
	for _, e := range events {
		if s := e.GetSelection(); s != nil {
			all = append(all, int(s.GetVersion()))
		}
	}
	return all
}

// upTo returns 0 … n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// logs collects what is logged. It is safe for concurrent use.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logs) option() flywheel.Option {
	return flywheel.WithLogger(slog.New(slog.NewTextHandler(l, nil)))
}

// String makes failures readable.
func (r received) String() string {
	return fmt.Sprintf("%s %x %v", r.at.Format(time.StampMicro), r.id[12:], numbers(r.events))
}
