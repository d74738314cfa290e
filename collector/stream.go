package collector

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// received is what came of receiving on a stream: a request, or why there are no
// more of them.
type received struct {
	buffer mem.Buffer
	err    error
}

// collectStream answers the batches of a stream in their order.
//
// It ends when the client has sent its last batch, when the collector stops, or
// when the connection is lost; in the first two cases after the batches in hand
// are answered. A batch without an answer may or may not be durable.
func (s *service) collectStream(stream grpc.ServerStream) error {
	tenant, err := rpc.Tenant(stream.Context())
	if err != nil {
		return err
	}
	requests, ended := make(chan received), make(chan struct{})
	s.receivers.Go(func() { receive(stream, requests, ended) })
	defer close(ended)
	s.stats.streams.Add(1)
	defer s.stats.streams.Add(-1)

	q := &streamQueue{service: s, stream: stream}
	defer q.abandon()
	incoming, stopping := requests, s.stopping
	for {
		next, err := q.answer()
		if err != nil {
			return err
		}
		if len(q.batches) == 0 && incoming == nil {
			return nil
		}
		accepting := incoming
		if len(q.batches) >= s.cfg.MaxStreamBatches || q.bytes >= s.cfg.MaxStreamBytes {
			accepting = nil
		}
		select {
		case <-next:
		case <-stopping:
			incoming, stopping = nil, nil
		case request := <-accepting:
			switch {
			case request.err == nil:
				q.push(s.begin(tenant, s.beginSpan(stream.Context()), request.buffer))
			case errors.Is(request.err, io.EOF):
				incoming = nil
			default:
				return request.err
			}
		case <-stream.Context().Done():
			return gone(stream.Context()).statusError()
		}
	}
}

// receive hands over the requests of a stream and the error that ends them. It
// returns soon after the stream's handler, which the library reports to RecvMsg.
func receive(stream grpc.ServerStream, requests chan<- received, ended <-chan struct{}) {
	for {
		var request rawMessage
		err := stream.RecvMsg(&request)
		select {
		case requests <- received{buffer: request.buffer, err: err}:
		case <-ended:
			if err == nil {
				request.buffer.Free()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// streamQueue holds the batches of a stream that are not answered, oldest first.
type streamQueue struct {
	*service

	stream  grpc.ServerStream
	batches []*batch
	bytes   int // of the requests of batches
}

func (q *streamQueue) push(b *batch) {
	q.batches = append(q.batches, b)
	q.bytes += len(b.raw)
}

// answer answers the batches that are decided, up to the first that is not, and
// gives the channel that is closed when there may be more to answer.
func (q *streamQueue) answer() (<-chan struct{}, error) {
	for len(q.batches) > 0 {
		b := q.batches[0]
		next, ok := b.decided()
		if !ok {
			return next, nil
		}
		q.batches[0] = nil
		q.batches = q.batches[1:]
		q.bytes -= len(b.raw)
		response := q.response(b)
		q.drop(b)
		if err := q.stream.SendMsg(response); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (q *streamQueue) response(b *batch) *flywheelv1.CollectStreamResponse {
	answer, refused := q.finish(b)
	if refused != nil {
		return refused.streamResponse(firstID(b.raw))
	}
	return &flywheelv1.CollectStreamResponse{
		BatchId:    answer.GetBatchId(),
		Accepted:   answer.GetAccepted(),
		Rejected:   answer.GetRejected(),
		RetryAfter: answer.GetRetryAfter(),
	}
}

// abandon gives up the batches that cannot be answered any more.
func (q *streamQueue) abandon() {
	for _, b := range q.batches {
		q.drop(b)
	}
	q.batches = nil
}

// drop gives up a batch and ends its span.
func (q *streamQueue) drop(b *batch) {
	b.span.End()
	q.release(b)
}
