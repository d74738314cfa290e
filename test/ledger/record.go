package ledger

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// DialOptions make a connection whose calls to a collector are noted in the ledger:
// each event before it is sent, and what it was answered. They suit any client, the
// SDK too.
func (l *Ledger) DialOptions(tenant string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			batch, ok := req.(*flywheelv1.CollectRequest)
			if !ok {
				return invoke(ctx, method, req, reply, cc, opts...)
			}
			l.sent(tenant, batch.GetEvents())
			err := invoke(ctx, method, req, reply, cc, opts...)
			if resp, ok := reply.(*flywheelv1.CollectResponse); ok && err == nil {
				l.answered(batch.GetEvents(), resp)
			} else {
				l.failed(err)
			}
			return err
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := open(ctx, desc, cc, method, opts...)
			if err != nil {
				l.failed(err)
				return nil, err
			}
			return &recorded{ClientStream: stream, ledger: l, tenant: tenant, codec: codecOf(opts)}, nil
		}),
	}
}

// codecOf is the codec that a call is made with: the one it forces, or the standard one.
func codecOf(opts []grpc.CallOption) encoding.CodecV2 {
	codec := encoding.GetCodecV2("proto")
	for _, opt := range opts {
		if forced, ok := opt.(grpc.ForceCodecV2CallOption); ok {
			codec = forced.CodecV2
		}
	}
	return codec
}

// recorded is a call of CollectStream that the ledger follows. Answers come in the
// order of the batches.
type recorded struct {
	grpc.ClientStream
	ledger *Ledger
	tenant string
	codec  encoding.CodecV2

	mu      sync.Mutex
	waiting [][]*flywheelv1.Event
}

// SendMsg notes the batch and sends it.
func (r *recorded) SendMsg(m any) error {
	data, err := r.codec.Marshal(m)
	if err != nil {
		return fmt.Errorf("read batch for the ledger: %w", err)
	}
	var batch flywheelv1.CollectStreamRequest
	if err := batch.UnmarshalVT(data.Materialize()); err != nil {
		return fmt.Errorf("read batch for the ledger: %w", err)
	}
	r.ledger.sent(r.tenant, batch.GetEvents())
	r.mu.Lock()
	r.waiting = append(r.waiting, batch.GetEvents())
	r.mu.Unlock()
	return r.ClientStream.SendMsg(m)
}

// RecvMsg receives an answer and notes it.
func (r *recorded) RecvMsg(m any) error {
	err := r.ClientStream.RecvMsg(m)
	if err != nil {
		r.abandon(err)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	answer, ok := m.(*flywheelv1.CollectStreamResponse)
	if !ok || len(r.waiting) == 0 {
		return fmt.Errorf("answer %T to no batch", m)
	}
	events := r.waiting[0]
	r.waiting = r.waiting[1:]
	if refused := answer.GetError(); refused != nil {
		r.ledger.failed(status.Error(codes.Code(refused.GetCode()), refused.GetMessage()))
		return nil
	}
	r.ledger.answered(events, answer)
	return nil
}

// abandon notes the batches that an ended stream left without an answer.
func (r *recorded) abandon(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.waiting {
		r.ledger.failed(err)
	}
	r.waiting = nil
}
