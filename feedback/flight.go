package feedback

import (
	"context"
	"sync"
)

// flights are reads under way, so that callers who ask for the same at the same time share
// one: a dashboard that many look at costs as much as one that one looks at. What a caller
// gets was read while it waited, or began to be read at most as long before as the read
// takes.
type flights[T any] struct {
	mu      sync.Mutex
	byQuery map[string]*flight[T]
	running sync.WaitGroup
}

// flight is one read under way. Its result is valid once done is closed; whoever gets it
// must not change it.
type flight[T any] struct {
	done   chan struct{}
	result T
	err    error
	cancel context.CancelFunc
	// callers are those that wait for it. When the last one leaves, it is cancelled.
	callers int
}

// run calls read, or waits for the call that is under way for the same query. The context
// that read gets ends when no caller waits any more. The result is shared: it must not be
// changed.
func (f *flights[T]) run(ctx context.Context, query string, read func(context.Context) (T, error)) (result T, err error) {
	shared := f.join(ctx, query, read)
	defer f.leave(query, shared)
	select {
	case <-shared.done:
		return shared.result, shared.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}

// begin begins a read that no caller waits for, unless one is under way for the same
// query.
func (f *flights[T]) begin(ctx context.Context, query string, read func(context.Context) (T, error)) {
	f.mu.Lock()
	_, under := f.byQuery[query]
	f.mu.Unlock()
	if under {
		return
	}
	shared := f.join(ctx, query, read)
	f.running.Go(func() {
		<-shared.done
		f.leave(query, shared)
	})
}

// join returns the flight of a query with the caller counted, and starts it if there is none.
func (f *flights[T]) join(ctx context.Context, query string, read func(context.Context) (T, error)) *flight[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	shared, found := f.byQuery[query]
	if !found {
		alone, cancel := context.WithCancel(context.WithoutCancel(ctx))
		shared = &flight[T]{done: make(chan struct{}), cancel: cancel}
		if f.byQuery == nil {
			f.byQuery = map[string]*flight[T]{}
		}
		f.byQuery[query] = shared
		f.running.Go(func() {
			shared.result, shared.err = read(alone)
			f.land(query, shared)
		})
	}
	shared.callers++
	return shared
}

// land ends a flight: who comes from now on reads anew.
func (f *flights[T]) land(query string, shared *flight[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(query, shared)
	close(shared.done)
}

// leave counts a caller off.
func (f *flights[T]) leave(query string, shared *flight[T]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if shared.callers--; shared.callers == 0 {
		shared.cancel()
		f.forget(query, shared)
	}
}

// forget forgets a flight, unless another of the same query has taken its place. The lock
// must be held.
func (f *flights[T]) forget(query string, shared *flight[T]) {
	if f.byQuery[query] == shared {
		delete(f.byQuery, query)
	}
}

// wait returns when nothing is under way.
func (f *flights[T]) wait() { f.running.Wait() }
