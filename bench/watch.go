package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	// watchEvery is how often an event is sent whose way to the table is watched, and how
	// often the table is looked at: what is measured is at most that much too long.
	watchEvery = 100 * time.Millisecond
	// watchName is the tenant, or the service, of these events.
	watchName = "watched"
	// watchPatience is how long the last of them may take.
	watchPatience = 2 * time.Minute
)

// way is how events get into a table, and how they are read there.
type way interface {
	// send sends one event beside the load, and returns when it is acknowledged.
	send(ctx context.Context, id uuid.UUID) error
	// seen returns the ids of the events sent since some time that can be read, as text.
	seen(ctx context.Context, since time.Time) ([]string, error)
}

// watcher sends events beside the load and notes when they can be read.
type watcher struct {
	way way

	mu sync.Mutex
	// sent is when the events that cannot be read yet were sent, by id.
	sent map[string]time.Time
	took []probed
}

// watch sends events until stop is called, which waits until they can be read and says how
// long it took those from some time on.
func (s *system) watch(ctx context.Context) (stop func(from time.Time) (freshness, error), err error) {
	conn, closing, err := s.dialWay()
	if err != nil {
		return nil, err
	}
	w := &watcher{way: conn, sent: map[string]time.Time{}}
	sending, stopSending := context.WithCancel(ctx)
	sent, seen := make(chan error, 1), make(chan error, 1)
	done := make(chan struct{})
	go func() { sent <- w.send(sending) }()
	go func() { seen <- w.look(ctx, done) }()
	return func(from time.Time) (freshness, error) {
		defer func() { _ = closing() }()
		stopSending()
		err := <-sent
		close(done)
		if looked := <-seen; err == nil {
			err = looked
		}
		return freshnessOf(w.took, from), err
	}, nil
}

// dialWay connects to the way into the table.
func (s *system) dialWay() (way, func() error, error) {
	if s.protocol == otlp {
		conn, err := dialCollector(s.collector)
		if err != nil {
			return nil, nil, err
		}
		return recordWay{s, conn}, conn.Close, nil
	}
	conn, err := grpc.NewClient(s.collector, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to collector: %w", err)
	}
	return eventWay{s, flywheelv1.NewCollectorServiceClient(conn)}, conn.Close, nil
}

// send sends an event every so often until ctx ends, and returns when all are acknowledged.
func (w *watcher) send(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	// An event under way is sent to its end.
	var group errgroup.Group
	for {
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-tick.C:
		}
		now := time.Now() // not later than the time in the id, from which on is looked
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make id: %w", err)
		}
		w.mu.Lock()
		w.sent[id.String()] = now
		w.mu.Unlock()
		group.Go(func() error { return w.way.send(context.WithoutCancel(ctx), id) })
	}
}

// look looks at the table until done is closed and everything sent can be read.
func (w *watcher) look(ctx context.Context, done <-chan struct{}) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var patience <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience:
			return fmt.Errorf("%d events beside the load cannot be read %s after it", len(w.sent), watchPatience)
		case <-done:
			patience, done = time.After(watchPatience), nil
		case <-tick.C:
		}
		since, waiting := w.oldest()
		if !waiting && patience != nil {
			return nil
		}
		if !waiting {
			continue
		}
		now := time.Now()
		ids, err := w.way.seen(ctx, since)
		if err != nil {
			return fmt.Errorf("look for events: %w", err)
		}
		w.note(ids, now)
	}
}

// oldest is when the oldest event was sent that cannot be read yet.
func (w *watcher) oldest() (since time.Time, waiting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.sent {
		if !waiting || at.Before(since) {
			since, waiting = at, true
		}
	}
	return since, waiting
}

func (w *watcher) note(ids []string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if at, ok := w.sent[id]; ok {
			w.took = append(w.took, probed{at, now.Sub(at)})
			delete(w.sent, id)
		}
	}
}

// eventWay is the way of events through Flywheel, in the lane of outcomes.
type eventWay struct {
	system *system
	client flywheelv1.CollectorServiceClient
}

func (w eventWay) send(ctx context.Context, id uuid.UUID) error {
	batch, err := probeBatch("watched")
	if err != nil {
		return err
	}
	batch.Events[0].InteractionId = id[:]
	resp, err := w.client.Collect(metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, watchName), batch)
	if err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	if resp.GetAccepted() != 1 {
		return fmt.Errorf("send event: refused: %v", resp.GetRejected())
	}
	return nil
}

func (w eventWay) seen(ctx context.Context, since time.Time) ([]string, error) {
	return w.system.texts(ctx, `SELECT DISTINCT toString(interaction_id) FROM interactions WHERE tenant = $1 AND started_at >= fromUnixTimestamp64Milli($2)`,
		watchName, since.UnixMilli())
}

// texts returns the only column of a query.
func (s *system) texts(ctx context.Context, query string, args ...any) (texts []string, err error) {
	rows, err := s.db.Conn().Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}
