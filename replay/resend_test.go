package replay

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// moody is a collector that refuses the first attempts: the call as a whole, then
// some of its events for now, and one event for good.
type moody struct {
	recorder

	mu      sync.Mutex
	calls   int
	arrived int
	tenants []string
	fatal   error
}

func (m *moody) Collect(ctx context.Context, req *flywheelv1.CollectRequest) (*flywheelv1.CollectResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	md, _ := metadata.FromIncomingContext(ctx)
	m.tenants = append(m.tenants, md.Get("flywheel-tenant")...)
	switch {
	case m.fatal != nil:
		return nil, m.fatal
	case m.calls == 1:
		return nil, status.Error(codes.Unavailable, "not yet")
	case m.calls == 2:
		m.arrived += m.accept(req.GetEvents()[2:])
		return &flywheelv1.CollectResponse{Accepted: uint32(len(req.GetEvents()) - 2), Rejected: []*flywheelv1.RejectedEvent{
			{Index: 0, Retryable: true, Reason: flywheelv1.RejectReason_REJECT_REASON_LOG_FULL},
			{Index: 1, Reason: flywheelv1.RejectReason_REJECT_REASON_TIME_TOO_OLD},
		}}, nil
	}
	m.arrived += m.accept(req.GetEvents())
	return &flywheelv1.CollectResponse{Accepted: uint32(len(req.GetEvents()))}, nil
}

func (m *moody) accept(events []*flywheelv1.Event) int {
	m.keep(events)
	return len(events)
}

func TestResendUntilDurable(t *testing.T) {
	t.Parallel()
	m := &moody{}
	cfg := small(t)
	cfg.Target, cfg.Tenant, cfg.Repeat, cfg.Shuffle = serve(t, m), "acme", 3, true
	last := 0
	tally, err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler), func(done, total int) {
		if done < last || done > total || total != 2*cfg.Interactions {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil {
		t.Fatal(err)
	}
	copies := 3*tally.EventsTotal - 1
	want := Delivery{Accepted: copies, Rejected: 1, Retries: 2}
	if tally.Delivery != want || uint64(m.arrived) != copies {
		t.Errorf("delivery %+v with %d arrived, want %+v", tally.Delivery, m.arrived, want)
	}
	if last != 2*cfg.Interactions {
		t.Errorf("progress ended at %d", last)
	}
	if len(m.tenants) != m.calls || slices.ContainsFunc(m.tenants, func(name string) bool { return name != "acme" }) {
		t.Errorf("tenants %v in %d calls", m.tenants, m.calls)
	}
	if got := uint64(len(m.take())); got != tally.EventsTotal {
		t.Errorf("%d different events arrived, want %d", got, tally.EventsTotal)
	}
}

func TestResendGivesUpOnAPermanentError(t *testing.T) {
	t.Parallel()
	m := &moody{fatal: status.Error(codes.InvalidArgument, "no such thing")}
	cfg := small(t)
	cfg.Target, cfg.Repeat = serve(t, m), 2
	_, err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler), nil)
	if err == nil || !strings.Contains(err.Error(), "no such thing") || m.calls != 1 {
		t.Errorf("error %v after %d calls", err, m.calls)
	}
}

func TestSendOrder(t *testing.T) {
	t.Parallel()
	if got := sendOrder(Config{Repeat: 2}, 3); !slices.Equal(got, []int{0, 1, 2, 0, 1, 2}) {
		t.Errorf("in passes: %v", got)
	}
	one, two := sendOrder(Config{Repeat: 2, Shuffle: true, Seed: 1}, 50), sendOrder(Config{Repeat: 2, Shuffle: true, Seed: 2}, 50)
	if slices.Equal(one, two) || slices.IsSorted(one) {
		t.Errorf("orders are not drawn from the seed")
	}
	for event := range 50 {
		n := 0
		for _, position := range one {
			if position == event {
				n++
			}
		}
		if n != 2 {
			t.Errorf("event %d is sent %d times", event, n)
		}
	}
}
