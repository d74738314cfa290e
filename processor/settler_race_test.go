package processor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor"
)

// randomStart is in one of some minutes of two hours and two days.
func randomStart(random *rand.Rand) time.Time {
	return start.Add(pick(random, 0, 31*time.Minute, 14*time.Hour) + time.Duration(random.IntN(100_000))*time.Millisecond)
}

// randomParts returns the partial rows of n interactions of two tenants, in random order,
// some of them twice.
func randomParts(random *rand.Rand, n int) []interactionPart {
	var parts []interactionPart
	for range n {
		base := interactionPart{
			Tenant:    pick(random, "acme", "globex"),
			StartedAt: randomStart(random),
			ID:        uuid.New(),
		}
		for range 1 + random.IntN(5) {
			part := base
			randomEvent(random, &part)
			for range 1 + random.IntN(2) {
				parts = append(parts, part)
			}
		}
	}
	random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return parts
}

// randomEvent sets what one event of an interaction sets.
func randomEvent(random *rand.Rand, part *interactionPart) {
	at := start.Add(time.Duration(random.IntN(900_000)) * time.Millisecond)
	// The dimensions of an interaction are the same in all of its events.
	in := rateDimensions{
		Surface: "inline_completion", Model: fmt.Sprint("tab-", part.ID[0]%3), Language: []string{"go", "rust"}[part.ID[1]%2],
		Experiment: "longer", Variant: []string{"control", "treatment"}[part.ID[2]%2],
	}
	if random.IntN(2) == 0 {
		part.User = fmt.Sprint("user-", part.ID[3]%5)
	}
	switch random.IntN(8) {
	case 0, 1, 2:
		part.rateDimensions, part.ShownAt, part.ShownLatencyUs = in, at, random.Uint64N(1_000_000)
		part.ViewKind = "ghost_text"
	case 3:
		part.rateDimensions, part.NotShownAt = in, at
	case 4, 5:
		o := flywheelv1.Outcome(random.IntN(9))
		part.OutcomeRank = rank(random.Uint64N(4), at, o)
		part.VisibleUs, part.AcceptedChars = random.Uint64N(1_500_000), random.Uint32N(100)
	case 6:
		part.OutputChars = random.Uint32N(200)
		part.RetainedChars0, part.RetainedChars30, part.RetainedChars900 = random.Uint32N(100), random.Uint32N(100), random.Uint32N(100)
		part.FourGram5, part.FourGram600 = uint16(random.Uint32N(10_001)), uint16(random.Uint32N(10_001))
		part.BranchChanged = pick[uint8](random, 0, 0, 1, 4, 64)
	case 7:
		part.ThumbRank = rank(0, at, flywheelv1.Thumb(random.IntN(3)))
		part.TaskResults = random.Uint32N(1 << 10)
	}
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func randomOpportunities(random *rand.Rand, n int) []opportunityPart {
	var parts []opportunityPart
	for range n {
		part := opportunityPart{
			Tenant:    pick(random, "acme", "globex"),
			StartedAt: randomStart(random),
			ID:        uuid.New(),
		}
		requested, failed := part, part
		requested.rateDimensions, requested.RequestedAt = rateDimensions{Model: pick(random, "tab-0", "tab-9")}, start
		requested.User = pick(random, "", "user-1", "user-7")
		failed.NotProducedAt = start
		parts = append(parts, pick(random, []opportunityPart{requested}, []opportunityPart{failed, requested}, []opportunityPart{failed})...)
	}
	return parts
}

// TestTwoSettlersEqualARecount lets two settlers settle again and again while data
// arrives in random order, in pieces and repeatedly.
func TestTwoSettlersEqualARecount(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			s := newRatesStore(t)
			interactions, opportunities := randomParts(random, 400), randomOpportunities(random, 100)
			inserted, stop := context.WithCancel(t.Context())
			var settlers sync.WaitGroup
			for range 2 {
				settler := s.settler()
				settlers.Go(func() {
					for inserted.Err() == nil {
						settleOnce(t.Context(), t, settler)
					}
					settleOnce(t.Context(), t, settler)
				})
			}
			for len(interactions) > 0 || len(opportunities) > 0 {
				i, o := min(len(interactions), random.IntN(80)), min(len(opportunities), random.IntN(20))
				s.insert(interactions[:i], opportunities[:o])
				interactions, opportunities = interactions[i:], opportunities[o:]
			}
			stop()
			settlers.Wait()
			s.requireRecount(750*time.Millisecond, 0)
		})
	}
}

// settledTables are the tables that settlers fill, in the order in which they do.
func settledTables() []string { return []string{"rates", "rate_hours", "rate_days", "user_rate_hours"} }

// slowSettler does one step of its settlements of a table at a time: look, count, write
// what was counted, confirm.
type slowSettler struct {
	settler     *processor.Settler
	table, own  string
	settlement  *processor.Settlement
	step, mixed int
}

func (s *slowSettler) next(ctx context.Context) (err error) {
	var mixed int
	switch s.step {
	case 0:
		s.settlement, err = s.settler.Look(ctx, s.table)
	case 1:
		err = s.settlement.Count(ctx, s.own)
	case 2:
		err = s.settlement.Write(ctx, s.own)
	case 3:
		mixed, err = s.settlement.Confirm(ctx)
		s.mixed += mixed
	}
	s.step = (s.step + 1) % 4
	return err
}

// slowSettlers returns n settlers of each table.
func (s ratesStore) slowSettlers(n int) (all []*slowSettler) {
	s.tb.Helper()
	for i := range n {
		for _, table := range settledTables() {
			own := fmt.Sprintf("slow_%s_%d", table, i)
			s.exec("CREATE TABLE " + own + " AS " + table + " ENGINE = Memory")
			all = append(all, &slowSettler{settler: s.settler(), table: table, own: own})
		}
	}
	return all
}

// finish lets each settler do the rest of its steps, in random order.
func (s ratesStore) finish(random *rand.Rand, settlers []*slowSettler) {
	s.tb.Helper()
	for left := slices.Clone(settlers); len(left) > 0; {
		if slow := left[random.IntN(len(left))]; slow.step != 0 {
			s.step(slow)
		}
		left = slices.DeleteFunc(left, func(slow *slowSettler) bool { return slow.step == 0 })
	}
}

// settleSlowly lets settlers of each table settle until nothing is dirty.
func (s ratesStore) settleSlowly(settlers []*slowSettler) {
	s.tb.Helper()
	for dirty := 1; dirty > 0; {
		dirty = 0
		for _, slow := range settlers {
			for range 4 {
				s.step(slow)
			}
			dirty += slow.settlement.Dirty()
		}
	}
}

// TestAnyInterleavingEqualsARecount takes the steps of two settlers of each table and of
// the data in random order: whatever one counted before and wrote after the other, the
// end is the same.
func TestAnyInterleavingEqualsARecount(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	random := rand.New(rand.NewPCG(5, 6))
	settlers := s.slowSettlers(2)
	for episode := range 12 {
		// An interaction of an hour of its own, which every change moves to another
		// combination and another user. The settlers of one table are busier than others.
		at := start.Add(time.Duration(episode) * time.Hour)
		table := []int{0, 3, 0, 3, 1, 2}[episode%6]
		busy := []*slowSettler{settlers[table], settlers[table+4]}
		part := interactionPart{Tenant: "acme", StartedAt: at, ID: uuid.New(), ShownAt: at}
		for change := range 3 {
			part.Variant, part.User = fmt.Sprint("variant ", episode, change), fmt.Sprint("user ", change)
			s.insert([]interactionPart{part}, nil)
			for range 1 + random.IntN(3) {
				s.step(busy[random.IntN(2)])
			}
			s.step(settlers[random.IntN(len(settlers))])
		}
		s.finish(random, settlers)
	}
	s.settleSlowly(settlers[:len(settledTables())])
	s.requireRecount(750*time.Millisecond, 0)
	mixed := 0
	for _, slow := range settlers {
		mixed += slow.mixed
	}
	if mixed == 0 {
		t.Error("the settlers were never in each other's way: the test shows nothing")
	}
}

// TestStaleWriter lets a settler write what it counted before another one settled
// something newer: the combination that only the first one knows must vanish everywhere.
func TestStaleWriter(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settlers := s.slowSettlers(2)
	for _, table := range []int{0, 3} { // those that recount
		early, late := settlers[table], settlers[table+4]
		at := start.Add(time.Duration(table) * time.Hour)
		part := interactionPart{Tenant: "acme", StartedAt: at, ID: uuid.New(), ShownAt: at, User: "user 1"}
		part.Variant = "variant 1"
		s.insert([]interactionPart{part}, nil)
		s.step(early)
		s.step(early)
		part.Variant, part.User = "variant 2", "user 2"
		s.insert([]interactionPart{part}, nil)
		for range 4 {
			s.step(late)
		}
		s.step(early)
		// The sums of others have what is stale now.
		for _, slow := range settlers[5:7] {
			for range 4 {
				s.step(slow)
			}
		}
		s.step(early)
		if early.mixed != 1 {
			t.Errorf("%s: %d buckets of mixed versions found, want 1", early.table, early.mixed)
		}
		s.settleSlowly(settlers[4:])
		s.requireRecount(750*time.Millisecond, 0)
	}
}

func (s ratesStore) step(slow *slowSettler) {
	s.tb.Helper()
	if err := slow.next(s.tb.Context()); err != nil {
		s.tb.Fatalf("%s, step %d: %v", slow.table, slow.step, err)
	}
}

// TestKilledAnywhere lets a settler die after each of its steps that writes, in each table,
// while what it settles changes. The next one heals it.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	part := interactionPart{Tenant: "acme", StartedAt: start, ID: uuid.New(), ShownAt: start}
	settlers := s.slowSettlers(1)
	for last, killed := range settlers {
		for _, steps := range []int{3, 4} {
			part.Variant, part.User = fmt.Sprint("variant ", last, steps), fmt.Sprint("user ", last, steps)
			s.insert([]interactionPart{part}, nil)
			for _, slow := range settlers[:last] {
				for range 4 {
					s.step(slow)
				}
			}
			for range steps {
				s.step(killed)
			}
			killed.step = 0
			s.exec("TRUNCATE TABLE " + killed.own)
			next := s.settler(func(cfg *processor.SettlerConfig) { cfg.UserInterval = time.Nanosecond })
			if _, err := next.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := next.TickUsers(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.requireRecount(750*time.Millisecond, 0)
		}
	}
}

// TestKilledSettlerLeavesNothingBehind finds what a settler wrote that counted long
// ago, wrote after a newer settlement, and was killed before it could check.
func TestKilledSettlerLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	settler := s.settler()
	id := uuid.New()
	in := rateDimensions{Model: "tab-7b"}
	s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: id}}, nil)
	s.insert([]interactionPart{{Tenant: "acme", StartedAt: start, ID: id, rateDimensions: in, ShownAt: start}}, nil)
	settleOnce(t.Context(), t, settler)
	s.exec(`INSERT INTO user_rate_hours (tenant, bucket, user, version, settled_at, shown) VALUES ('acme', '2026-11-20 10:00:00', 'gone', 1, now64(3), 1)`)
	settleOnce(t.Context(), t, settler)
	s.requireRecount(750*time.Millisecond, 0)
	s.exec(`INSERT INTO rates (tenant, bucket, model, version, settled_at, shown) VALUES ('acme', '2026-11-20 10:30:00', 'gone', 1, now64(3), 1)`)
	if got := settleOnce(t.Context(), t, settler); got != 1 {
		t.Errorf("settled %d minutes, want the one of mixed versions", got)
	}
	s.requireRecount(750*time.Millisecond, 0)
	if got := settleOnce(t.Context(), t, settler); got != 0 {
		t.Errorf("settled %d minutes although nothing changed", got)
	}
}

// TestKilledBetweenRatesAndNote settles a minute again whose settlement was not
// noted.
func TestKilledBetweenRatesAndNote(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	random := rand.New(rand.NewPCG(9, 9))
	s.insert(randomParts(random, 50), randomOpportunities(random, 10))
	first := settleOnce(t.Context(), t, s.settler())
	s.exec("TRUNCATE TABLE settled_buckets")
	if again := settleOnce(t.Context(), t, s.settler()); again != first {
		t.Errorf("settled %d minutes again, want %d", again, first)
	}
	s.requireRecount(750*time.Millisecond, 0)
}
