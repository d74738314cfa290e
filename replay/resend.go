package replay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	// resendBatch is how many events are sent in one call, resendTimeout how long a
	// call may take, and patience for how long one batch is tried again.
	resendBatch   = 500
	resendTimeout = 30 * time.Second
	patience      = 10 * time.Minute
)

// resender sends recorded events with the plain generated client.
type resender struct {
	client   flywheelv1.CollectorServiceClient
	delivery Delivery
}

// send sends every event so many times: one pass after the other, or all copies
// mixed in an order drawn from the seed.
func (r *resender) send(ctx context.Context, cfg Config, events []*flywheelv1.Event, progress func(done, total int)) error {
	if cfg.Tenant != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, cfg.Tenant)
	}
	total := len(events) * cfg.Repeat
	order := sendOrder(cfg, len(events))
	for done := 0; done < total; {
		batch := make([]*flywheelv1.Event, min(resendBatch, total-done))
		for i := range batch {
			batch[i] = events[order[done+i]]
		}
		if err := r.deliver(ctx, batch); err != nil {
			return err
		}
		done += len(batch)
		progress(done, total)
	}
	return nil
}

// sendOrder returns the positions of the events in the order of sending.
func sendOrder(cfg Config, events int) []int {
	order := make([]int, events*cfg.Repeat)
	for i := range order {
		order[i] = i % max(events, 1)
	}
	if cfg.Shuffle {
		rng := rand.New(rand.NewPCG(cfg.Seed, hash(cfg.Seed, "order")))
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return order
}

// deliver sends one batch until each of its events is durable or refused for good,
// waiting longer each time.
func (r *resender) deliver(ctx context.Context, events []*flywheelv1.Event) error {
	left := events
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		var err error
		if left, err = r.attempt(ctx, left); err == nil && len(left) > 0 {
			err = errLaneFull
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(patience), backoff.WithNotify(func(error, time.Duration) { r.delivery.Retries++ }))
	if err != nil {
		r.delivery.Dropped += uint64(len(left))
		return fmt.Errorf("send events: %w", err)
	}
	return nil
}

// errLaneFull: some of a batch's events found the log full.
var errLaneFull = errors.New("the log is full")

// attempt makes one call and returns the events that may be sent again. An error
// that is not marked permanent means all of them.
func (r *resender) attempt(ctx context.Context, events []*flywheelv1.Event) ([]*flywheelv1.Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return events, backoff.Permanent(fmt.Errorf("make batch id: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, resendTimeout)
	defer cancel()
	answer, err := r.client.Collect(ctx, &flywheelv1.CollectRequest{BatchId: id[:], Events: events})
	if err != nil {
		if !retryable(err) {
			err = backoff.Permanent(err)
		}
		return events, err
	}
	r.delivery.Accepted += uint64(answer.GetAccepted())
	var left []*flywheelv1.Event
	for _, refused := range answer.GetRejected() {
		if refused.GetRetryable() {
			left = append(left, events[refused.GetIndex()])
		} else {
			r.delivery.Rejected++
		}
	}
	return left, nil
}

func retryable(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted:
		return true
	default:
		return false
	}
}
