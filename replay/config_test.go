package replay

import (
	"strings"
	"testing"
	"time"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	good := DefaultConfig()
	good.Target = "127.0.0.1:7410"
	if err := good.Validate(); err != nil {
		t.Errorf("the defaults with a target: %v", err)
	}
	bad := Config{History: -1, TrainBytes: -1, Interactions: -1, Sessions: -1, Users: -1, Content: 99}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"target", "history", "train bytes", "interactions", "sessions", "users", "workers", "repeat", "content",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)
	for _, c := range []struct {
		name                  string
		cfg                   Config
		sessions, users, sum  int
		firstQuota, lastQuota int
		slots                 int
	}{
		{"defaults", DefaultConfig(), 167, 21, 10_000, 60, 59, 8},
		{"nothing given", Config{}, 167, 21, 10_000, 60, 59, 8},
		{"one interaction", Config{Interactions: 1}, 1, 1, 1, 1, 1, 1},
		{"a few interactions", Config{Interactions: 50}, 4, 4, 50, 13, 12, 1},
		{"sessions only", Config{Sessions: 9}, 9, 4, 540, 60, 60, 3},
		{"both", Config{Sessions: 4, Interactions: 10, Users: 4}, 4, 4, 10, 3, 2, 1},
		{"more users than sessions", Config{Sessions: 2, Users: 9}, 2, 2, 120, 60, 60, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := c.cfg.plan(now)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0
			for _, quota := range p.quotas {
				sum += quota
			}
			if p.sessions != c.sessions || len(p.quotas) != c.sessions || p.users != c.users || sum != c.sum {
				t.Errorf("%d sessions, %d users, %d interactions; want %d, %d, %d",
					p.sessions, p.users, sum, c.sessions, c.users, c.sum)
			}
			if p.quotas[0] != c.firstQuota || p.quotas[len(p.quotas)-1] != c.lastQuota {
				t.Errorf("quotas %d … %d, want %d … %d", p.quotas[0], p.quotas[len(p.quotas)-1], c.firstQuota, c.lastQuota)
			}
			if want := now.Truncate(time.Minute).Add(-time.Duration(c.slots) * slot); !p.base.Equal(want) {
				t.Errorf("base time %s, want %s", p.base, want)
			}
			if last := p.start(p.sessions-1, 0.999); last.Add(slot - 10*time.Minute).After(p.end) {
				t.Errorf("the last session begins at %s, too late for %s", last, p.end)
			}
		})
	}
}

func TestPlanRefusesTheFuture(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	_, err := Config{Sessions: 1, BaseTime: now.Add(-time.Hour)}.plan(now)
	if err == nil || !strings.Contains(err.Error(), "future") {
		t.Errorf("error %v, want one about the future", err)
	}
}

func TestTimelineRunsInOrder(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	clock := &timeline{now: start}
	var ran []string
	note := func(name string) func() {
		return func() { ran = append(ran, name+clock.now.Sub(start).String()) }
	}
	clock.at(start.Add(3*time.Second), note("c"))
	clock.at(start.Add(time.Second), note("a"))
	clock.at(start.Add(time.Second), func() {
		note("b")()
		clock.at(clock.now, note("now"))
		clock.at(start.Add(2*time.Second), note("soon"))
	})
	clock.advance(2 * time.Second)
	if got, want := strings.Join(ran, " "), "a1s b1s now1s soon2s"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
	clock.drain()
	if got := ran[len(ran)-1]; got != "c3s" || !clock.read().Equal(start.Add(3*time.Second)) {
		t.Errorf("last ran %q at %s", got, clock.read())
	}
}
