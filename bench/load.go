package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// loadResult is what the load generator measured.
type loadResult struct {
	Events   int     `json:"events"`
	Bytes    int     `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	AckP50Ms float64 `json:"ack_p50_ms"`
	AckP99Ms float64 `json:"ack_p99_ms"`
}

// loadMain is the load generator, a process of its own so that its CPU time is
// not taken for Flywheel's. It writes a loadResult to standard output once every
// event is acknowledged.
func loadMain(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	target := flags.String("target", "", "address of the collector")
	interactions := flags.Int("interactions", 0, "interactions to send")
	clients := flags.Int("clients", 0, "concurrent clients")
	batch := flags.Int("batch", 0, "interactions per batch")
	rate := flags.Float64("rate", 0, "events per second, 0 for as fast as they are acknowledged")
	if err := flags.Parse(args); err != nil {
		return err
	}
	corpus, err := loadCorpus()
	if err != nil {
		return err
	}
	// pace is the time from one batch of a client to its next.
	var pace time.Duration
	if *rate > 0 {
		pace = time.Duration(float64(*batch*eventsPer**clients) / *rate * float64(time.Second))
	}
	results := make([]clientResult, *clients)
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i := range *clients {
		share := *interactions / *clients
		if i < *interactions%*clients {
			share++
		}
		group.Go(func() (err error) {
			results[i], err = sendAll(ctx, *target, newMix(corpus, uint64(i)), share, *batch, pace)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(total(results, time.Since(start)))
}

// total is what clients did together in some time.
func total(results []clientResult, took time.Duration) loadResult {
	total := loadResult{Seconds: took.Seconds()}
	var latencies []time.Duration
	for _, r := range results {
		total.Events += r.events
		total.Bytes += r.bytes
		latencies = append(latencies, r.latencies...)
	}
	slices.Sort(latencies)
	total.AckP50Ms = milliseconds(latencies[len(latencies)/2])
	total.AckP99Ms = milliseconds(latencies[len(latencies)*99/100])
	return total
}

// window is how many batches of a client may wait for their acknowledgement.
const window = 8

type clientResult struct {
	events, bytes int
	latencies     []time.Duration
}

// sendAll sends a client's interactions over one stream and waits until each
// batch is acknowledged in full.
func sendAll(ctx context.Context, target string, m *mix, interactions, perBatch int, pace time.Duration) (clientResult, error) {
	conn, err := dialCollector(target)
	if err != nil {
		return clientResult{}, err
	}
	defer func() { _ = conn.Close() }()
	stream, err := openStream(ctx, conn)
	if err != nil {
		return clientResult{}, err
	}
	sent := make(chan sentBatch, window)
	var result clientResult
	group, _ := errgroup.WithContext(ctx)
	group.Go(func() error {
		for batch := range sent {
			if err := receiveAck(stream, batch, &result); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(sent)
		return sendBatches(stream, m, interactions, perBatch, pace, sent)
	})
	if err := group.Wait(); err != nil {
		return clientResult{}, err
	}
	return result, nil
}

// dialCollector makes a connection whose messages are ready-made bytes.
func dialCollector(target string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(bytesCodec{})))...)
	if err != nil {
		return nil, fmt.Errorf("connect to collector: %w", err)
	}
	return conn, nil
}

func openStream(ctx context.Context, conn *grpc.ClientConn) (grpc.ClientStream, error) {
	stream, err := conn.NewStream(ctx, &flywheelv1.CollectorService_ServiceDesc.Streams[0], flywheelv1.CollectorService_CollectStream_FullMethodName)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	return stream, nil
}

type sentBatch struct {
	at            time.Time
	events, bytes int
}

func sendBatches(stream grpc.ClientStream, m *mix, interactions, perBatch int, pace time.Duration, sent chan<- sentBatch) error {
	due := time.Now()
	for interactions > 0 {
		if pace > 0 {
			<-time.After(time.Until(due))
			due = due.Add(pace)
		}
		n := min(perBatch, interactions)
		interactions -= n
		id := m.id(time.Now())
		batch := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), id[:])
		for range n {
			batch = m.interaction(batch)
		}
		sent <- sentBatch{at: time.Now(), events: n * eventsPer, bytes: len(batch)}
		if err := stream.SendMsg(batch); err != nil {
			return fmt.Errorf("send batch: %w", err)
		}
	}
	return stream.CloseSend()
}

func receiveAck(stream grpc.ClientStream, batch sentBatch, result *clientResult) error {
	var resp flywheelv1.CollectStreamResponse
	if err := stream.RecvMsg(&resp); err != nil {
		return fmt.Errorf("receive answer: %w", err)
	}
	if int(resp.GetAccepted()) != batch.events {
		return fmt.Errorf("batch of %d events: %d accepted, error %v, first rejection %v", batch.events, resp.GetAccepted(), resp.GetError(), resp.GetRejected()[:min(1, len(resp.GetRejected()))])
	}
	result.events += batch.events
	result.bytes += batch.bytes
	result.latencies = append(result.latencies, time.Since(batch.at))
	return nil
}

// appendEvent appends an event as field 2 of a CollectStreamRequest.
func appendEvent(batch []byte, event *flywheelv1.Event) []byte {
	size := event.SizeVT()
	batch = protowire.AppendTag(batch, 2, protowire.BytesType)
	batch = protowire.AppendVarint(batch, uint64(size))
	at := len(batch)
	batch = append(batch, make([]byte, size)...)
	if _, err := event.MarshalToSizedBufferVT(batch[at:]); err != nil {
		panic(err) // generated code fails only on a nil oneof member
	}
	return batch
}

// bytesCodec sends ready-made bytes and receives messages.
type bytesCodec struct{}

// Name is the content subtype of the standard codec, which the server expects.
func (bytesCodec) Name() string { return "proto" }

// Marshal passes bytes on.
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("marshal %T: bytes are needed", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal decodes an answer.
func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	resp, ok := v.(*flywheelv1.CollectStreamResponse)
	if !ok {
		return fmt.Errorf("unmarshal %T: a CollectStreamResponse is needed", v)
	}
	return resp.UnmarshalVT(data.Materialize())
}
