package flywheel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

const (
	// maxInflight is how many batches are under way at once.
	maxInflight = 8
	// answerTimeout is how long the collector may take for the next answer before the
	// stream is given up.
	answerTimeout = 30 * time.Second
	// idleTimeout is after how long without events a stream is closed.
	idleTimeout = time.Minute
	// hangUpTimeout is how long the collector may take to end a stream that has no
	// batches left.
	hangUpTimeout = time.Second
)

var (
	errNoAnswer    = errors.New("the collector did not answer in time")
	errWrongAnswer = errors.New("the collector answered a batch that it was not sent next")
)

// stream is a call of CollectStream. Only the goroutine that opened it uses it; one
// more, which it owns, receives the answers.
type stream struct {
	call   grpc.ClientStream
	cancel context.CancelCauseFunc
	// answers is closed when the stream has ended; err then says why.
	answers chan *flywheelv1.CollectStreamResponse
	err     error
	// watchdog gives the stream up when an answer does not come.
	watchdog *time.Timer

	// inflight are the batches without an answer, in the order of sending.
	inflight []*batch
	// answered is how many answers there were, used when the last batch was sent.
	answered int
	used     time.Time
	// broken says that nothing more can be sent.
	broken bool
}

// openStream opens a stream that ends with ctx. It may wait for a connection that is
// being made.
func openStream(ctx context.Context, conn grpc.ClientConnInterface) (*stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	call, err := conn.NewStream(ctx, &flywheelv1.CollectorService_ServiceDesc.Streams[0],
		flywheelv1.CollectorService_CollectStream_FullMethodName, grpc.ForceCodecV2(codec{}))
	if err != nil {
		cancel(err)
		return nil, err
	}
	s := &stream{
		call: call, cancel: cancel,
		// Room for every answer: receiving never waits for sending, so that the
		// collector can always go on.
		answers:  make(chan *flywheelv1.CollectStreamResponse, maxInflight),
		watchdog: time.AfterFunc(answerTimeout, func() { cancel(errNoAnswer) }),
	}
	s.watchdog.Stop()
	go s.receive(ctx)
	return s, nil
}

// receive hands over the answers until the stream ends.
func (s *stream) receive(ctx context.Context) {
	defer close(s.answers)
	defer func() {
		if p := recover(); p != nil {
			s.err = fmt.Errorf("receive answer: panic: %v", p)
		}
	}()
	for {
		answer := new(flywheelv1.CollectStreamResponse)
		if s.err = s.call.RecvMsg(answer); s.err != nil {
			if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
				s.err = cause
			}
			return
		}
		select {
		case s.answers <- answer:
		case <-ctx.Done():
			s.err = context.Cause(ctx)
			return
		}
	}
}

// send sends a batch. Why it could not is known when the stream has ended.
func (s *stream) send(b *batch, now time.Time) {
	s.inflight = append(s.inflight, b)
	s.used = now
	if len(s.inflight) == 1 {
		s.watchdog.Reset(answerTimeout)
	}
	if err := s.call.SendMsg(b); err != nil {
		s.broken = true
	}
}

// take returns the batch that an answer is for, or nil when it is for none: then the
// stream is given up.
func (s *stream) take(answer *flywheelv1.CollectStreamResponse) *batch {
	if len(s.inflight) == 0 || len(answer.GetBatchId()) > 0 && !bytes.Equal(answer.GetBatchId(), s.inflight[0].id[:]) {
		s.broken = true
		s.cancel(errWrongAnswer)
		return nil
	}
	b := s.inflight[0]
	s.inflight = s.inflight[1:]
	s.answered++
	if len(s.inflight) > 0 {
		s.watchdog.Reset(answerTimeout)
	} else {
		s.watchdog.Stop()
	}
	return b
}

// finish ends a stream that has no batches left, and waits for that.
func (s *stream) finish() {
	if err := s.call.CloseSend(); err != nil {
		s.cancel(err)
	}
	s.watchdog.Reset(hangUpTimeout)
	s.drain()
}

// hangUp ends the stream at once.
func (s *stream) hangUp() {
	s.cancel(context.Canceled)
	s.drain()
}

// drain waits for the end of the goroutine that receives.
func (s *stream) drain() {
	for range s.answers {
		continue // nobody waits for these any more
	}
	s.watchdog.Stop()
	s.cancel(context.Canceled)
}
