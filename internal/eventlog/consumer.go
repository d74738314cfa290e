package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxAckPending bounds the records that processors have and have not answered. At
	// the usual half megabyte a record this is far more than they hold at a time.
	maxAckPending = 1024
	// pullExpiry is how long the server keeps a request for records; it shows that it
	// is alive every pullHeartbeat. After two missed ones the request is repeated.
	pullExpiry    = 10 * time.Second
	pullHeartbeat = 2 * time.Second

	minReopenWait = 100 * time.Millisecond
	maxReopenWait = 5 * time.Second
	giveBackWait  = 2 * time.Second
	// discoverInterval is how soon a consumer finds shards that are new.
	discoverInterval = 5 * time.Second
)

// Consumer delivers the records of a lane that no processor has acknowledged, of all its
// shards, also of those that are created later. The consumers of a lane, in all
// processes, share its records.
//
// It outlives restarts and failures of the server: it tries again until it is closed.
type Consumer struct {
	log      *Log
	of       *shards
	messages chan *Message
	stop     context.CancelFunc
	done     chan struct{} // closed when run has returned
}

// Consume starts a consumer. The context bounds this call only. The caller must call
// [Consumer.Close], or [Log.Close] does.
func (l *Log) Consume(ctx context.Context, lane Lane) (*Consumer, error) {
	of, err := l.laneShards(lane)
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	iterators, err := l.deliverAll(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("consume lane %s: %w", lane, unavailable(err))
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &Consumer{log: l, of: of, messages: make(chan *Message), stop: stop, done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		stop()
		stopAll(iterators)
		return nil, fmt.Errorf("consume lane %s: %w", lane, ErrClosed)
	}
	l.consumers[c] = struct{}{}
	go c.run(running, iterators)
	return c, nil
}

// deliverAll starts the delivery of each shard of a lane.
func (l *Log) deliverAll(ctx context.Context, of *shards) (map[*stream]jetstream.MessagesContext, error) {
	if err := l.discover(ctx); err != nil {
		return nil, err
	}
	iterators := map[*stream]jetstream.MessagesContext{}
	for _, s := range of.all() {
		iterator, err := l.deliver(ctx, s)
		if err != nil {
			stopAll(iterators)
			return nil, err
		}
		iterators[s] = iterator
	}
	return iterators, nil
}

func stopAll(iterators map[*stream]jetstream.MessagesContext) {
	for _, iterator := range iterators {
		iterator.Stop()
	}
}

// Next returns the next record, waiting for one. It returns ctx.Err() as soon as ctx
// ends, and [ErrClosed] after Close; it fails for no other reason. It may be called
// concurrently.
func (c *Consumer) Next(ctx context.Context) (*Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case m := <-c.messages:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, ErrClosed
	}
}

// Close stops the delivery and gives back the records that were fetched and not
// returned by Next, so that other consumers get them at once. Messages that Next has
// returned can still be answered until the log is closed. Calling it again does
// nothing.
func (c *Consumer) Close() {
	c.stop()
	<-c.done
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	delete(c.log.consumers, c)
}

// run passes on records of all shards until ctx ends, and looks for new shards.
func (c *Consumer) run(ctx context.Context, iterators map[*stream]jetstream.MessagesContext) {
	defer close(c.done)
	var running sync.WaitGroup
	defer running.Wait()
	for s, iterator := range iterators {
		running.Go(func() { c.runShard(ctx, s, iterator) })
	}
	tick := time.NewTicker(discoverInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := c.discover(ctx); err != nil {
			continue // the shards say what is wrong
		}
		for _, s := range c.of.all() {
			if _, known := iterators[s]; !known {
				iterators[s] = nil
				c.log.log.Info("event log has another shard", slog.String("stream", s.name))
				running.Go(func() { c.runShard(ctx, s, c.reopen(ctx, s)) })
			}
		}
	}
}

func (c *Consumer) discover(ctx context.Context) error {
	ctx, cancel := request(ctx)
	defer cancel()
	return c.log.discover(ctx)
}

// runShard passes on records of a shard until ctx ends or there is no such shard. It
// owns the iterator.
func (c *Consumer) runShard(ctx context.Context, s *stream, iterator jetstream.MessagesContext) {
	for iterator != nil {
		err := c.forward(ctx, s, iterator)
		giveBack(context.WithoutCancel(ctx), iterator)
		if ctx.Err() != nil {
			return
		}
		c.log.log.Warn("event log delivery interrupted", slog.String("stream", s.name), slog.Any("error", err))
		iterator = c.reopen(ctx, s)
	}
}

// forward passes records from the iterator to Next until either ends.
func (c *Consumer) forward(ctx context.Context, s *stream, iterator jetstream.MessagesContext) error {
	for {
		msg, err := iterator.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		m, err := newMessage(msg, s)
		if err != nil {
			return err
		}
		select {
		case c.messages <- m:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), m.Nak(0))
		}
	}
}

// reopen creates what is missing on the server and starts the delivery again. It
// returns nil when ctx ends first, or somebody has removed a shard that is not this
// process's own.
func (c *Consumer) reopen(ctx context.Context, s *stream) jetstream.MessagesContext {
	for wait := minReopenWait; slices.Contains(c.of.all(), s); wait = min(2*wait, maxReopenWait) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		iterator, err := c.log.reopen(ctx, s)
		if err == nil {
			return iterator
		}
		c.log.log.Warn("event log delivery cannot start", slog.String("stream", s.name), slog.Any("error", err))
	}
	c.log.log.Info("event log shard is gone", slog.String("stream", s.name))
	return nil
}

func (l *Log) reopen(ctx context.Context, s *stream) (jetstream.MessagesContext, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	if s.own {
		if err := l.ensureStream(ctx, s); err != nil {
			return nil, err
		}
	}
	return l.deliver(ctx, s)
}

// deliver starts the delivery of a stream's records.
func (l *Log) deliver(ctx context.Context, s *stream) (jetstream.MessagesContext, error) {
	consumer, err := l.ensureConsumer(ctx, s)
	if err != nil {
		return nil, err
	}
	iterator, err := consumer.Messages(
		// Bounded by bytes only: with a bound on messages the client's queue is exactly as
		// long, and drops a record where a status message of the server takes its place.
		jetstream.PullMaxBytes(max(maxPayload, l.cfg.PrefetchBytes/len(l.lanes[s.lane].all()))),
		jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return nil, fmt.Errorf("start delivery of %s: %w", s.name, err)
	}
	return iterator, nil
}

// giveBack ends an iterator and hands what it had fetched back to the server. When
// that is not possible, the records are delivered again after the acknowledgement
// wait.
func giveBack(ctx context.Context, iterator jetstream.MessagesContext) {
	ctx, cancel := context.WithTimeout(ctx, giveBackWait)
	defer cancel()
	iterator.Drain()
	for {
		msg, err := iterator.Next(jetstream.NextContext(ctx))
		if err != nil {
			return
		}
		if err := msg.Nak(); err != nil {
			return
		}
	}
}
