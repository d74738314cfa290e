package processor

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ interval, took, want time.Duration }{
		{time.Second, 0, time.Second},
		{time.Second, 100 * time.Millisecond, time.Second},
		{time.Second, 200 * time.Millisecond, 1800 * time.Millisecond},
		// Nine times the work would make the rates older than three seconds.
		{time.Second, 500 * time.Millisecond, 2 * time.Second},
		{time.Second, 800 * time.Millisecond, 1400 * time.Millisecond},
		{time.Second, time.Second, time.Second},
		// Beyond what the machine can do in time, a third of the time is left to others.
		{time.Second, 2 * time.Second, time.Second},
		{time.Second, 10 * time.Second, 5 * time.Second},
		// A long interval is the user's choice.
		{time.Minute, time.Second, time.Minute},
		{time.Minute, 30 * time.Second, time.Minute},
		{10 * time.Millisecond, 100 * time.Millisecond, 900 * time.Millisecond},
	} {
		if got := pause(c.interval, c.took); got != c.want {
			t.Errorf("pause(%s, %s) = %s, want %s", c.interval, c.took, got, c.want)
		}
	}
}

func TestBatchSizeFollowsTheWork(t *testing.T) {
	t.Parallel()
	size := firstBatch
	for range 20 {
		size = size.after(time.Millisecond, nil)
	}
	if size != maxBatch {
		t.Errorf("after fast statements the size is %d, want %d", size, maxBatch)
	}
	if got := size.after(statementTarget, nil); got != size {
		t.Errorf("after one that took as long as it should, the size is %d, want %d", got, size)
	}
	if got := size.after(time.Millisecond, errors.New("too much memory")); got != size/2 {
		t.Errorf("after an error the size is %d, want half", got)
	}
	for range 20 {
		size = size.after(time.Minute, nil)
	}
	if size != 1 {
		t.Errorf("after slow statements the size is %d, want 1", size)
	}
}

func TestUrgency(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC)
	buckets := []bucket{
		{tenant: "never settled", start: now.Add(-30 * 24 * time.Hour), settledAt: time.Unix(0, 0)},
		{tenant: "old, long ago", start: now.Add(-10 * time.Hour), settledAt: now.Add(-2 * time.Minute)},
		{tenant: "now, lately", start: now, settledAt: now.Add(-6 * time.Second)},
		{tenant: "young, lately", start: now.Add(-5 * time.Minute), settledAt: now.Add(-9 * time.Second)},
		{tenant: "old, lately", start: now.Add(-10 * time.Hour), settledAt: now.Add(-9 * time.Second)},
	}
	var want []string
	for _, m := range buckets {
		want = append(want, m.tenant)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(buckets), func(i, j int) { buckets[i], buckets[j] = buckets[j], buckets[i] })
	sortByUrgency(buckets, now)
	for i, m := range buckets {
		if m.tenant != want[i] {
			t.Errorf("place %d: %s, want %s", i, m.tenant, want[i])
		}
	}
}

func TestUserPause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ interval, took, want time.Duration }{
		"nothing to do":               {interval: 10 * time.Second, took: time.Millisecond, want: 2500 * time.Millisecond},
		"work":                        {interval: 10 * time.Second, took: time.Second, want: 9 * time.Second},
		"a long interval":             {interval: 4 * time.Minute, took: time.Second, want: time.Minute},
		"ClickHouse hung for an hour": {interval: 10 * time.Second, took: time.Hour, want: longestUserPause},
	} {
		if got := userPause(c.interval, c.took); got != c.want {
			t.Errorf("%s: pause of %s, want %s", name, got, c.want)
		}
	}
}

func TestSettlerConfigValidate(t *testing.T) {
	t.Parallel()
	if err := DefaultSettlerConfig().Validate(); err != nil {
		t.Errorf("default settings: %v", err)
	}
	for name, spoil := range map[string]func(*SettlerConfig){
		"no interval":         func(c *SettlerConfig) { c.Interval = 0 },
		"full before partial": func(c *SettlerConfig) { c.FullInterval = c.Interval - 1 },
		"no user interval":    func(c *SettlerConfig) { c.UserInterval = 0 },
		"negative read":       func(c *SettlerConfig) { c.MinRead = -1 },
		"negative reject":     func(c *SettlerConfig) { c.MinReject = -1 },
	} {
		cfg := DefaultSettlerConfig()
		spoil(&cfg)
		if _, err := NewSettler(cfg, nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
