package flywheel

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// FourGramSurvival says how similar the later text is to the accepted one, from 0
// (nothing in common) to 1 (equal). For each sequence of four characters that occurs
// in either text, occurrences are counted in both:
//
//	(|A| + |B| − Σ|count in A − count in B|) / (|A| + |B|)
//
// where |A| and |B| are the numbers of such sequences. If either text has less than
// four characters it is 1 when they are equal, else 0. This is the survival measure
// of the VS Code Copilot Chat extension (editSurvivalTracker.ts), on Unicode code
// points instead of UTF-16 units. It takes time and memory in proportion to the
// texts.
func FourGramSurvival(accepted, later string) float64 {
	if accepted == later {
		return 1
	}
	counts := make(map[[4]rune]int, len(accepted))
	a := eachFourGram(accepted, func(gram [4]rune) { counts[gram]++ })
	b := eachFourGram(later, func(gram [4]rune) { counts[gram]-- })
	if a == 0 || b == 0 {
		return 0
	}
	different := 0
	for _, n := range counts {
		different += max(n, -n)
	}
	return float64(a+b-different) / float64(a+b)
}

// eachFourGram visits the sequences of four characters and returns their number.
func eachFourGram(text string, visit func([4]rune)) int {
	var gram [4]rune
	n := 0
	for _, r := range text {
		gram[0], gram[1], gram[2], gram[3] = gram[1], gram[2], gram[3], r
		if n++; n >= len(gram) {
			visit(gram)
		}
	}
	return max(n-len(gram)+1, 0)
}

// maxCompared is the largest number of steps for which RetainedChars compares
// character by character: a few milliseconds.
const maxCompared = 1 << 22

// RetainedChars says how many characters (Unicode code points) of the accepted text
// are still in the later text, in their order, when only the two texts are known: the
// length of their longest common subsequence. Characters that were replaced by equal
// ones count as retained, so it is never less than what an editor finds that follows
// the edits (as VS Code's ArcTracker does), which is the better measure.
//
// What the texts share at the beginning and at the end counts in any case. If what is
// between is long (about 16,000 characters each), it is compared by lines: the
// characters of the lines that both have, as often as both have them.
func RetainedChars(accepted, later string) uint32 {
	a, b, shared := trimShared([]rune(accepted), []rune(later))
	switch words := (len(a) + 63) / 64; {
	case len(a) == 0 || len(b) == 0:
	case words*len(b) <= maxCompared:
		shared += commonSubsequence(a, b)
	default:
		shared += commonLines(string(a), string(b))
	}
	return uint32(shared)
}

// trimShared removes what two texts share at the beginning and then at the end, and
// returns how much that is.
func trimShared(a, b []rune) (restA, restB []rune, shared int) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b, shared = a[1:], b[1:], shared+1
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b, shared = a[:len(a)-1], b[:len(b)-1], shared+1
	}
	return a, b, shared
}

// commonSubsequence returns the length of the longest common subsequence, by the
// bit-parallel algorithm of Hyyrö (2004), "Bit-parallel LCS-length computation
// revisited": V' = (V + (V & M)) | (V & ^M), where M marks the places of the next
// character of b in a; each zero in the last V is one character of the result.
func commonSubsequence(a, b []rune) int {
	words := (len(a) + 63) / 64
	places := map[rune][]uint64{}
	for i, r := range a {
		if places[r] == nil {
			places[r] = make([]uint64, words)
		}
		places[r][i/64] |= 1 << (i % 64)
	}
	v := make([]uint64, words)
	for i := range v {
		v[i] = ^uint64(0)
	}
	for _, r := range b {
		m := places[r]
		if m == nil {
			continue
		}
		var carry uint64
		for i, old := range v {
			var sum uint64
			sum, carry = bits.Add64(old, old&m[i], carry)
			v[i] = sum | old&^m[i]
		}
	}
	zeros := 0
	for i, word := range v {
		if last := len(a) - 64*i; last < 64 {
			word |= ^uint64(0) << last
		}
		zeros += bits.OnesCount64(^word)
	}
	return zeros
}

// commonLines returns the characters of the lines that both texts have.
func commonLines(a, b string) int {
	counts := map[string]int{}
	for line := range strings.Lines(a) {
		counts[line]++
	}
	shared := 0
	for line := range strings.Lines(b) {
		if counts[line] > 0 {
			counts[line]--
			shared += utf8.RuneCountInString(line)
		}
	}
	return shared
}
