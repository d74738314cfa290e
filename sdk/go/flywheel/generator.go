package flywheel

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"io"
	"sync"
	"time"
)

const (
	// clockSlack is how far the system's clock may step back, which it does when it
	// is corrected, without ids stepping back too.
	clockSlack = 10 * time.Second
	// randomAhead is how many random bytes are fetched from the system at once.
	randomAhead = 512

	maxMilli  = 1<<48 - 1
	maxRandA  = 1<<12 - 1
	maxRandB  = 1<<62 - 1
	freshSize = 10 // random bytes for a new millisecond
	stepSize  = 4  // random bytes for the next id of a millisecond
)

// generator makes UUIDv7 with a random start in each millisecond and random steps
// within it (RFC 9562, section 6.2, method 2). It is safe for concurrent use.
//
// Ids grow as long as the clock does not step back by more than slack; then they
// follow the clock.
type generator struct {
	slack int64 // milliseconds

	mu     sync.Mutex
	random io.Reader
	milli  int64
	randA  uint64 // 12 bits
	randB  uint64 // 62 bits
}

// newGenerator takes randomness from random, or from the system when that is nil.
func newGenerator(random io.Reader, slack time.Duration) *generator {
	if random == nil {
		random = systemRandom()
	}
	return &generator{random: random, slack: slack.Milliseconds(), milli: -1}
}

func systemRandom() io.Reader { return bufio.NewReaderSize(rand.Reader, randomAhead) }

// next returns an id whose time is at.
func (g *generator) next(at time.Time) ID {
	milli := min(max(at.UnixMilli(), 0), maxMilli)
	g.mu.Lock()
	defer g.mu.Unlock()
	if milli > g.milli || milli < g.milli-g.slack {
		g.fresh(milli)
	} else {
		g.step()
	}
	var id ID
	binary.BigEndian.PutUint64(id[:8], uint64(g.milli)<<16|7<<12|g.randA)
	binary.BigEndian.PutUint64(id[8:], 2<<62|g.randB)
	return id
}

// restart makes the next id independent of those before it.
func (g *generator) restart() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.milli = -1
}

// fresh begins a millisecond. The upper half of the range stays free for steps.
func (g *generator) fresh(milli int64) {
	var random [freshSize]byte
	g.read(random[:])
	g.milli = milli
	g.randA = uint64(binary.BigEndian.Uint16(random[:2])) & (maxRandA >> 1)
	g.randB = binary.BigEndian.Uint64(random[2:]) & maxRandB
}

// step goes on within a millisecond, and into the next when this one is used up.
func (g *generator) step() {
	var random [stepSize]byte
	g.read(random[:])
	g.randB += 1 + uint64(binary.BigEndian.Uint32(random[:]))
	if g.randB <= maxRandB {
		return
	}
	g.randB &= maxRandB
	if g.randA++; g.randA > maxRandA {
		g.fresh(min(g.milli+1, maxMilli))
	}
}

func (g *generator) read(p []byte) {
	if _, err := io.ReadFull(g.random, p); err != nil {
		g.random = systemRandom()
		_, _ = io.ReadFull(g.random, p) // crypto/rand never returns an error
	}
}
