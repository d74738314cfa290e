package flywheel_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// pass lets virtual time pass in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestBatchByCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		client := dial(t, f, flywheel.WithBatch(10, 1<<20, time.Hour))
		s := client.Session(flywheel.SessionInfo{})
		selections(s, 0, 28)
		synctest.Wait()
		if got := f.got(); len(got) != 2 || len(got[0].events) != 10 || len(got[1].events) != 10 {
			t.Errorf("batches before the third is full: %v", got)
		}
		s.End("")
		synctest.Wait()
		if got := f.got(); len(got) != 3 {
			t.Errorf("batches: %v", got)
		}
		if got := numbers(f.events()); !slices.Equal(got, upTo(28)) {
			t.Errorf("events: %v", got)
		}
		check(t, client, flywheel.Stats{Sent: 30, Accepted: 30})
	})
}

func TestBatchByBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 4 << 10
		f := newFake(t, nil)
		client := dial(t, f, flywheel.WithBatch(10_000, limit, time.Hour), flywheel.WithContent(flywheel.ConsentTraining))
		s := client.Session(flywheel.SessionInfo{})
		for range 20 {
			s.Message(flywheel.Message{Role: flywheel.RoleUser, Text: strings.Repeat("x", 1000)})
		}
		synctest.Wait()
		if got := f.got(); len(got) != 6 {
			t.Errorf("%d batches before the last is full, want 6", len(got))
		}
		s.Message(flywheel.Message{Role: flywheel.RoleUser, Text: strings.Repeat("x", 3*limit)})
		synctest.Wait()
		got := f.got()
		for _, b := range got[:len(got)-1] {
			if len(b.raw) > limit {
				t.Errorf("a batch has %d bytes, more than %d", len(b.raw), limit)
			}
		}
		if last := got[len(got)-1]; len(last.events) != 1 {
			t.Errorf("the large event is sent with %d others", len(last.events)-1)
		}
		check(t, client, flywheel.Stats{Sent: 22, Accepted: 22})
	})
}

func TestBatchByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		client := dial(t, f, flywheel.WithBatch(100, 1<<20, 3*time.Second))
		pass(time.Minute)
		begun := time.Now()
		s := client.Session(flywheel.SessionInfo{})
		for i := range 3 {
			pass(time.Second)
			selections(s, i, 1)
		}
		synctest.Wait()
		got := f.got()
		if len(got) != 1 || got[0].at.Sub(begun) != 3*time.Second {
			t.Fatalf("batches: %v, want one after 3 s", got)
		}
		selections(s, 3, 1)
		pass(4 * time.Second)
		if got := numbers(f.events()); !slices.Equal(got, upTo(4)) {
			t.Errorf("events: %v", got)
		}
		check(t, client, flywheel.Stats{Sent: 5, Accepted: 5})
	})
}

// TestFullBatchDoesNotCutTheNextShort: the delay of a batch begins with its first
// event, also when the one before it was full.
func TestFullBatchDoesNotCutTheNextShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		client := dial(t, f, flywheel.WithBatch(2, 1<<20, 10*time.Second))
		s := client.Session(flywheel.SessionInfo{})
		pass(9 * time.Second)
		selections(s, 0, 2)
		pass(9 * time.Second)
		if got := f.got(); len(got) != 1 {
			t.Fatalf("batches: %v, want the full one only", got)
		}
		pass(time.Second)
		if got := f.got(); len(got) != 2 {
			t.Fatalf("batches: %v, want the second after its delay", got)
		}
	})
}

func TestIdleStreamIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		client := dial(t, f)
		s := client.Session(flywheel.SessionInfo{})
		flush(t, client)
		pass(10 * time.Minute)
		selections(s, 0, 1)
		flush(t, client)
		if f.streams != 2 {
			t.Errorf("%d streams, want one before and one after the pause", f.streams)
		}
		check(t, client, flywheel.Stats{Sent: 2, Accepted: 2})
	})
}

func TestTenant(t *testing.T) {
	t.Parallel()
	f := newFake(t, nil)
	client := dial(t, f, flywheel.WithTenant("acme-1"))
	client.Session(flywheel.SessionInfo{})
	flush(t, client)
	if got := f.got()[0].tenant; !slices.Equal(got, []string{"acme-1"}) {
		t.Errorf("tenant: %q", got)
	}
}
