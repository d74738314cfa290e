package flywheel

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// fixed reads the same byte for ever.
type fixed byte

func (f fixed) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

// checkForm checks that an id is a UUIDv7 (RFC 9562, section 5.7) of the given time.
func checkForm(t *testing.T, id ID, at time.Time) {
	t.Helper()
	if id[6]>>4 != 7 || id[8]>>6 != 2 || !id.Time().Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("%s of %s is not a UUIDv7 of %s", id, id.Time(), at)
	}
	if parsed, err := ParseID(id.String()); err != nil || parsed != id {
		t.Errorf("ParseID(%s): %s, %v", id, parsed, err)
	}
}

func TestGeneratorForm(t *testing.T) {
	t.Parallel()
	for name, random := range map[string]io.Reader{"system": nil, "zeros": fixed(0), "ones": fixed(0xff)} {
		g := newGenerator(random, 0)
		for range 3 {
			checkForm(t, g.next(noon()), noon())
		}
		for _, at := range []time.Time{time.Unix(-5, 0), time.UnixMilli(1<<48 + 5)} {
			if id := g.next(at); id[6]>>4 != 7 || id[8]>>6 != 2 {
				t.Errorf("%s: %s at %s is not a UUIDv7", name, id, at)
			}
		}
	}
}

// TestGeneratorGrows: within a millisecond, over its end when the counter is full, and
// while the clock steps back a little.
func TestGeneratorGrows(t *testing.T) {
	t.Parallel()
	g := newGenerator(fixed(0xff), time.Second)
	last := g.next(noon())
	grows := func(what string, at time.Time) {
		t.Helper()
		id := g.next(at)
		if bytes.Compare(id[:], last[:]) <= 0 {
			t.Fatalf("%s: %s comes after %s", what, id, last)
		}
		last = id
	}
	grows("same millisecond", noon())
	grows("back a second", noon().Add(-time.Second))
	grows("forward", noon().Add(time.Millisecond))
	g.randA, g.randB = maxRandA, maxRandB
	grows("counter full", noon().Add(time.Millisecond))
	checkForm(t, last, noon().Add(2*time.Millisecond))
	g.randB = maxRandB
	grows("lower part full", noon())

	back := noon().Add(-time.Hour)
	checkForm(t, g.next(back), back)
}

func TestGeneratorIsReproducible(t *testing.T) {
	t.Parallel()
	seeded := func() *generator { return newGenerator(rand.NewChaCha8([32]byte{7}), 0) }
	a, b := seeded(), seeded()
	for i := range 1000 {
		at := noon().Add(time.Duration(i/10) * time.Millisecond)
		if one, two := a.next(at), b.next(at); one != two {
			t.Fatalf("id %d: %s and %s", i, one, two)
		}
	}
}

// TestGeneratorReadsNothingAhead: a new seed gives the same ids whatever came before.
func TestGeneratorReadsNothingAhead(t *testing.T) {
	t.Parallel()
	source := rand.NewChaCha8([32]byte{})
	g := newGenerator(source, 0)
	first := func(before int) ID {
		for range before {
			g.next(noon())
		}
		source.Seed([32]byte{1})
		g.restart()
		return g.next(noon())
	}
	if a, b := first(3), first(4); a != b {
		t.Errorf("%s after three ids, %s after four", a, b)
	}
}

func TestGeneratorSurvivesItsReader(t *testing.T) {
	t.Parallel()
	g := newGenerator(iotest.ErrReader(errors.New("no more")), 0)
	checkForm(t, g.next(noon()), noon())
	if a, b := g.next(noon()), g.next(noon()); a == b {
		t.Errorf("%s twice", a)
	}
}

func TestGeneratorIsUnique(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 5000
	g := newGenerator(nil, clockSlack)
	var all [goroutines][]ID
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			for range each {
				all[i] = append(all[i], g.next(time.Now()))
			}
		})
	}
	group.Wait()
	seen := map[ID]bool{}
	for _, ids := range all {
		for i, id := range ids {
			if seen[id] {
				t.Fatalf("%s twice", id)
			}
			seen[id] = true
			if i > 0 && bytes.Compare(ids[i-1][:], id[:]) >= 0 {
				t.Fatalf("%s comes after %s", id, ids[i-1])
			}
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "short": "0192", "no hyphens": "01920000000070008000000000000000",
		"version 4": "01920000-0000-4000-8000-000000000000", "variant": "01920000-0000-7000-0000-000000000000",
		"not hexadecimal": "0192000x-0000-7000-8000-000000000000", "hyphens only": "------------------------------------",
	} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("%s: ParseID(%q) = %s", name, text, id)
		}
	}
}
