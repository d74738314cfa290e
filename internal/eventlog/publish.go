package eventlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream's error codes that mean no room.
const (
	insufficientResources = 10023
	noStorage             = 10047
	storeFailed           = 10077 // maximum bytes exceeded, no space on the device
	tooManyRequests       = 10167
)

// headroom is what a message's headers may take of the server's largest payload.
const headroom = 4096

// Publish stores a record in a lane. When it returns nil, the record is synced to
// disk and acknowledged. Errors: [ErrFull] when the lane has no room; [ErrUnavailable]
// wraps everything else, also ctx's end, after which the record may be stored or not.
// The record is sent or given up before Publish returns: it may be reused then.
// Concurrent calls are pipelined.
func (l *Log) Publish(ctx context.Context, lane Lane, record []byte) error {
	return l.publish(ctx, &nats.Msg{Subject: subject(lane), Data: record})
}

func (l *Log) publish(ctx context.Context, msg *nats.Msg) error {
	// Without retries the client keeps no reference to the message.
	future, err := l.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	select {
	case <-future.Ok():
		return nil
	case err := <-future.Err():
		return publishError(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func publishError(err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch api.ErrorCode {
		case insufficientResources, noStorage, storeFailed, tooManyRequests:
			return fmt.Errorf("%w: %s", ErrFull, api.Description)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// MaxRecordBytes is the size of the largest record that Publish takes.
func (l *Log) MaxRecordBytes() int { return int(l.conn.MaxPayload()) - headroom }
