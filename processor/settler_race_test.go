package processor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor"
)

// randomParts returns the partial rows of n interactions of two tenants in five
// minutes, in random order, some of them twice.
func randomParts(random *rand.Rand, n int) []interactionPart {
	var parts []interactionPart
	for range n {
		base := interactionPart{
			Tenant:    pick(random, "acme", "globex"),
			StartedAt: start.Add(time.Duration(random.IntN(300_000)) * time.Millisecond),
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
	in := rateDimensions{Surface: "inline_completion", Model: fmt.Sprint("tab-", part.ID[0]%3), Language: []string{"go", "rust"}[part.ID[1]%2]}
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
			StartedAt: start.Add(time.Duration(random.IntN(300_000)) * time.Millisecond),
			ID:        uuid.New(),
		}
		requested, failed := part, part
		requested.rateDimensions, requested.RequestedAt = rateDimensions{Model: pick(random, "tab-0", "tab-9")}, start
		failed.NotProducedAt = start
		parts = append(parts, pick(random, []opportunityPart{requested}, []opportunityPart{failed, requested}, []opportunityPart{failed})...)
	}
	return parts
}

// TestTwoSettlersEqualARecount lets two settlers settle again and again while data
// arrives in random order, in pieces and repeatedly.
func TestTwoSettlersEqualARecount(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
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

// slowSettler does one step of its settlements at a time: look, count, write what
// was counted, confirm.
type slowSettler struct {
	settler     *processor.Settler
	table       string
	settlement  *processor.Settlement
	step, again int
}

func (s *slowSettler) next(ctx context.Context) (err error) {
	var again int
	switch s.step {
	case 0:
		s.settlement, err = s.settler.Look(ctx)
	case 1:
		err = s.settlement.Count(ctx, s.table)
	case 2:
		err = s.settlement.Write(ctx, s.table)
	case 3:
		again, err = s.settlement.Confirm(ctx)
		s.again += again
	}
	s.step = (s.step + 1) % 4
	return err
}

// TestAnyInterleavingEqualsARecount takes the steps of two settlers and of the data
// in random order: whatever one counted before and wrote after the other, the end
// is the same.
func TestAnyInterleavingEqualsARecount(t *testing.T) {
	t.Parallel()
	s := newRatesStore(t)
	random := rand.New(rand.NewPCG(5, 5))
	settlers := []*slowSettler{{settler: s.settler(), table: "slow_0"}, {settler: s.settler(), table: "slow_1"}}
	for _, slow := range settlers {
		s.exec("CREATE TABLE " + slow.table + " AS rates ENGINE = Memory")
	}
	for episode := range 12 {
		// An interaction of a minute of its own, which every change moves to another
		// combination.
		at := start.Add(time.Duration(episode) * time.Minute)
		part := interactionPart{Tenant: "acme", StartedAt: at, ID: uuid.New(), ShownAt: at}
		for change := range 3 {
			part.Variant = fmt.Sprint("variant ", change)
			s.insert([]interactionPart{part}, nil)
			for range 1 + random.IntN(3) {
				s.step(settlers[random.IntN(2)])
			}
		}
		for settlers[0].step != 0 || settlers[1].step != 0 {
			if slow := settlers[random.IntN(2)]; slow.step != 0 {
				s.step(slow)
			}
		}
	}
	for range 4 {
		s.step(settlers[0])
	}
	s.requireRecount(750*time.Millisecond, 0)
	if settlers[0].again+settlers[1].again == 0 {
		t.Error("the settlers were never in each other's way: the test shows nothing")
	}
}

func (s ratesStore) step(slow *slowSettler) {
	s.tb.Helper()
	if err := slow.next(s.tb.Context()); err != nil {
		s.tb.Fatalf("step %d: %v", slow.step, err)
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
