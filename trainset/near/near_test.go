package near

import (
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestNoPairIsNear compares the index with a look at all pairs.
func TestNoPairIsNear(t *testing.T) {
	t.Parallel()
	for distance := range 8 {
		random := rand.New(rand.NewPCG(1, uint64(distance)))
		index := NewIndex(distance)
		var kept []uint64
		left := 0
		for range 3000 {
			hash := random.Uint64()
			if len(kept) > 0 && random.IntN(2) == 0 {
				hash = kept[random.IntN(len(kept))]
				for range random.IntN(12) {
					hash ^= 1 << random.IntN(64)
				}
			}
			near := false
			for _, k := range kept {
				near = near || bits.OnesCount64(k^hash) <= distance
			}
			if index.Add(hash) == near {
				t.Fatalf("distance %d: hash %x: near an earlier one: %t", distance, hash, near)
			}
			if near {
				left++
			} else {
				kept = append(kept, hash)
			}
		}
		if left == 0 {
			t.Errorf("distance %d: nothing was near", distance)
		}
	}
}

func TestPassages(t *testing.T) {
	t.Parallel()
	long := "Write a function that returns the sum of all even numbers in a list of integers."
	p := NewPassages([]string{long, "def add(a, b):", "  \n"})
	for text, want := range map[string]bool{
		"x = 1\n" + strings.ToUpper(long) + "\nmore": true,
		strings.ReplaceAll(long, " ", "\n\t# "):      true,
		long[:40]:                                    false,
		"Write a function that returns the sum of all odd numbers in it": false,
		"def add(a,b)":          true,
		"def add(a, b): return": false,
		"":                      false,
		strings.Repeat("ä", 60) + long[5:75] + "é": true,
	} {
		if got := p.In("something else", text); got != want {
			t.Errorf("%q: found %t, want %t", text, got, want)
		}
	}
}
