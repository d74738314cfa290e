package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// loadBuffer is the write buffer of a client: a batch in one system call.
const loadBuffer = 256 << 10

// client is a client of an eventLoad. It is not safe for concurrent use.
type client struct {
	eventLoad

	cursor *cursor
	began  time.Time
	// left is how many events are to be sent, when the load bounds their number.
	left int
	// due is when the next batch is to be sent, when the load has a limit.
	due time.Time
}

// newClient returns one of the clients of a load that begins.
func newClient(l eventLoad, t *tape, number int, began time.Time) *client {
	c := &client{eventLoad: l, cursor: newCursor(t, number, l.clients, l.perSession), began: began, due: began}
	c.left = l.interactions / l.clients * eventsPer
	if number < l.interactions%l.clients {
		c.left += eventsPer
	}
	return c
}

// next waits until the next batch is due and makes it in the memory of b; it has no events
// when everything was sent.
func (c *client) next(b []byte) (batch []byte, events int) {
	events = c.batch
	if c.interactions > 0 {
		events = min(events, c.left)
	}
	if c.time > 0 && time.Since(c.began) >= c.time {
		events = min(events, c.cursor.rest())
	}
	if events == 0 {
		return nil, 0
	}
	if c.limit > 0 {
		<-time.After(time.Until(c.due))
		c.due = c.due.Add(time.Duration(float64(c.batch*c.clients) / c.limit * float64(time.Second)))
	}
	c.left -= events
	return c.cursor.next(b, events), events
}

// clientResult is what a client sent and how long acknowledgements took.
type clientResult struct {
	events, bytes int
	latencies     []time.Duration
}

func (r *clientResult) add(batch sentBatch) {
	r.events += batch.events
	r.bytes += len(batch.wire)
	r.latencies = append(r.latencies, time.Since(batch.at))
}

type sentBatch struct {
	at     time.Time
	events int
	wire   []byte
}

// stream sends everything over one stream and waits until each batch is acknowledged in
// full. The memory of a batch is used again once it is acknowledged.
func (c *client) stream(ctx context.Context, target string) (result clientResult, err error) {
	conn, err := dialCollector(target, grpc.WithWriteBufferSize(loadBuffer), grpc.WithDisableRetry())
	if err != nil {
		return clientResult{}, err
	}
	defer func() { _ = conn.Close() }()
	stream, err := openStream(ctx, conn)
	if err != nil {
		return clientResult{}, err
	}
	free, sent := make(chan []byte, c.window), make(chan sentBatch, c.window)
	for range c.window {
		free <- nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for batch := range sent {
			if err := receiveAck(stream, batch, &result); err != nil {
				return err
			}
			free <- batch.wire
		}
		return nil
	})
	group.Go(func() error {
		defer close(sent)
		return c.sendAll(ctx, stream, free, sent)
	})
	err = group.Wait()
	return result, err
}

// sendAll sends every batch, in memory that is free, and notes what it sent.
func (c *client) sendAll(ctx context.Context, stream grpc.ClientStream, free <-chan []byte, sent chan<- sentBatch) error {
	for {
		var memory []byte
		select {
		case memory = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		batch, events := c.next(memory)
		if events == 0 {
			return stream.CloseSend()
		}
		sent <- sentBatch{at: time.Now(), events: events, wire: batch}
		if err := stream.SendMsg(batch); err != nil {
			return fmt.Errorf("send batch: %w", err)
		}
	}
}

func receiveAck(stream grpc.ClientStream, batch sentBatch, result *clientResult) error {
	var resp flywheelv1.CollectStreamResponse
	if err := stream.RecvMsg(&resp); err != nil {
		return fmt.Errorf("receive answer: %w", err)
	}
	if int(resp.GetAccepted()) != batch.events {
		return fmt.Errorf("batch of %d events: %d accepted, error %v, first rejection %v", batch.events, resp.GetAccepted(), resp.GetError(), resp.GetRejected()[:min(1, len(resp.GetRejected()))])
	}
	result.add(batch)
	return nil
}

// call sends everything by calls over one connection, as many at once as batches may wait
// for their acknowledgement.
func (c *client) call(ctx context.Context, target string) (result clientResult, err error) {
	conn, err := dialCollector(target, grpc.WithWriteBufferSize(loadBuffer), grpc.WithDisableRetry())
	if err != nil {
		return clientResult{}, err
	}
	defer func() { _ = conn.Close() }()
	var making, noting sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for range c.window {
		group.Go(func() error {
			var memory []byte
			for {
				making.Lock()
				batch, events := c.next(memory)
				making.Unlock()
				if events == 0 {
					return nil
				}
				sent := sentBatch{at: time.Now(), events: events, wire: batch}
				if err := export(ctx, conn, batch); err != nil {
					return err
				}
				noting.Lock()
				result.add(sent)
				noting.Unlock()
				memory = batch
			}
		})
	}
	err = group.Wait()
	return result, err
}

// export sends log records by a call of OTLP. All of them are accepted, or it is an error.
func export(ctx context.Context, conn *grpc.ClientConn, batch []byte) error {
	var resp exportResponse
	if err := conn.Invoke(ctx, otlpExport, batch, &resp); err != nil {
		return fmt.Errorf("export log records: %w", err)
	}
	return resp.accepted()
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

// bytesCodec sends ready-made bytes and receives messages.
type bytesCodec struct{}

// Name is the content subtype of the standard codec, which servers expect.
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
	switch answer := v.(type) {
	case *flywheelv1.CollectStreamResponse:
		return answer.UnmarshalVT(data.Materialize())
	case *exportResponse:
		answer.wire = data.Materialize()
		return nil
	default:
		return fmt.Errorf("unmarshal %T: an answer of a collector is needed", v)
	}
}
