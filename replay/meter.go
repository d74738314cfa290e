package replay

import "sync"

// meter tells how far a replay is.
type meter struct {
	mu          sync.Mutex
	done, total int
	tell        func(done, total int)
}

// newMeter counts the planned interactions, twice when they are sent after all are
// made.
func newMeter(p plan, cfg Config, tell func(done, total int)) *meter {
	total := 0
	for _, quota := range p.quotas {
		total += quota
	}
	if cfg.recorded() {
		total *= 2
	}
	if tell == nil {
		tell = func(int, int) {}
	}
	return &meter{total: total, tell: tell}
}

// made tells that n more interactions are made.
func (m *meter) made(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = min(m.done+n, m.total)
	m.tell(m.done, m.total)
}

// sent tells how many of the recorded events are sent.
func (m *meter) sent(events, all int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = m.total/2 + m.total/2*events/all
	m.tell(m.done, m.total)
}
