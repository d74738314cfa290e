package feedback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestFlightsAreShared lets eight callers ask for the same while it is read.
func TestFlightsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flights[[]*counted]
		var reads atomic.Int32
		proceed := make(chan struct{})
		read := func(context.Context) ([]*counted, error) {
			reads.Add(1)
			<-proceed
			return []*counted{{shown: 7}}, nil
		}
		var callers sync.WaitGroup
		ask := func(query string) {
			rows, err := f.run(t.Context(), query, read)
			if err != nil || len(rows) != 1 || rows[0].shown != 7 {
				t.Errorf("%s: %v, %v; want the row that was read", query, rows, err)
			}
		}
		for range 8 {
			callers.Go(func() { ask("same") })
		}
		callers.Go(func() { ask("other") })
		synctest.Wait()
		close(proceed)
		callers.Wait()
		if n := reads.Load(); n != 2 {
			t.Errorf("%d reads of two queries, want 2", n)
		}
		ask("same")
		if n := reads.Load(); n != 3 {
			t.Errorf("%d reads after another call, want 3: what is over is not shared", n)
		}
		f.wait()
	})
}

// TestFlightEndsWithItsLastCaller lets callers leave one after the other.
func TestFlightEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flights[[]*counted]
		var reads atomic.Int32
		read := func(ctx context.Context) ([]*counted, error) {
			reads.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var callers sync.WaitGroup
		ask := func() context.CancelFunc {
			ctx, leave := context.WithCancel(t.Context())
			callers.Go(func() {
				if _, err := f.run(ctx, "same", read); !errors.Is(err, context.Canceled) {
					t.Errorf("%v, want that the caller left", err)
				}
			})
			synctest.Wait()
			return leave
		}
		first, second := ask(), ask()
		first()
		synctest.Wait()
		third := ask()
		if n := reads.Load(); n != 1 {
			t.Fatalf("%d reads, want 1: it goes on while someone waits", n)
		}
		second()
		third()
		callers.Wait()
		f.wait() // returns only if the read was cancelled
		if len(f.byQuery) != 0 {
			t.Errorf("%d queries are kept, want none", len(f.byQuery))
		}
	})
}

// TestQueryKeys tells apart what looks alike.
func TestQueryKeys(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, q := range []query{
		{},
		{from: 60},
		{to: 60},
		{width: 60},
		{groupBy: []string{"model"}},
		{groupBy: []string{"model", "language"}},
		{filters: []filter{{column: "model", values: []string{"a", "b"}}}},
		{filters: []filter{{column: "model", values: []string{"a b"}}}},
		{filters: []filter{{column: "model", values: []string{`a" "b`}}}},
		{filters: []filter{{column: "model", values: []string{"a"}}, {column: "model", values: []string{"b"}}}},
	} {
		keys[q.key("default")] = true
		keys[q.key("other")] = true
	}
	if len(keys) != 20 {
		t.Errorf("%d keys of 20 different queries", len(keys))
	}
}

// TestFlightWithoutCallers begins a read that nobody waits for, and lets a caller join it.
func TestFlightWithoutCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f flights[int]
		var reads atomic.Int32
		proceed := make(chan struct{})
		read := func(ctx context.Context) (int, error) {
			reads.Add(1)
			select {
			case <-proceed:
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		began, end := context.WithCancel(t.Context())
		f.begin(began, "same", read)
		f.begin(began, "same", read)
		end() // the call in which it began may be over
		var callers sync.WaitGroup
		callers.Go(func() {
			if got, err := f.run(t.Context(), "same", read); err != nil || got != 7 {
				t.Errorf("%d, %v; want 7", got, err)
			}
		})
		synctest.Wait()
		close(proceed)
		callers.Wait()
		f.wait()
		if n := reads.Load(); n != 1 {
			t.Errorf("%d reads, want 1", n)
		}
	})
}
