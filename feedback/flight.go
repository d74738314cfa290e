package feedback

import (
	"context"
	"sync"
)

// flights are the queries under way, so that callers who ask for the same at the same time
// share one: a dashboard that many look at costs as much as one that one looks at. What a
// caller gets was read while it waited, or began to be read at most as long before as the
// statement takes.
type flights struct {
	mu      sync.Mutex
	byQuery map[string]*flight
	running sync.WaitGroup
}

// flight is one query under way. Its result is valid once done is closed; whoever reads
// it must not change it.
type flight struct {
	done   chan struct{}
	rows   []*counted
	err    error
	cancel context.CancelFunc
	// callers are those that wait for it. When the last one leaves, it is cancelled.
	callers int
}

// run calls read, or waits for the call that is under way for the same query. The context
// that read gets ends when no caller waits any more. The result is shared: it must not be
// changed.
func (f *flights) run(ctx context.Context, query string, read func(context.Context) ([]*counted, error)) ([]*counted, error) {
	shared := f.join(ctx, query, read)
	defer f.leave(query, shared)
	select {
	case <-shared.done:
		return shared.rows, shared.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns the flight of a query with the caller counted, and starts it if there is none.
func (f *flights) join(ctx context.Context, query string, read func(context.Context) ([]*counted, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	shared, found := f.byQuery[query]
	if !found {
		alone, cancel := context.WithCancel(context.WithoutCancel(ctx))
		shared = &flight{done: make(chan struct{}), cancel: cancel}
		f.byQuery[query] = shared
		f.running.Go(func() {
			shared.rows, shared.err = read(alone)
			f.land(query, shared)
		})
	}
	shared.callers++
	return shared
}

// land ends a flight: who comes from now on reads anew.
func (f *flights) land(query string, shared *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(query, shared)
	close(shared.done)
}

// leave counts a caller off.
func (f *flights) leave(query string, shared *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if shared.callers--; shared.callers == 0 {
		shared.cancel()
		f.forget(query, shared)
	}
}

// forget forgets a flight, unless another of the same query has taken its place. The lock
// must be held.
func (f *flights) forget(query string, shared *flight) {
	if f.byQuery[query] == shared {
		delete(f.byQuery, query)
	}
}

// wait returns when no query is under way.
func (f *flights) wait() { f.running.Wait() }
