package near

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// passage is how many letters and digits in a row make a passage: the length by which
	// the GPT-4 Technical Report (OpenAI 2023, appendix C) looks for evaluations in
	// training data.
	passage = 50
	// base is that of the rolling hash, which is computed modulo 2^64 (Karp and Rabin 1987).
	base = 0x9E3779B97F4A7C15
)

// Passages are texts of evaluations, by letters and digits alone, in lower case.
type Passages struct {
	// hashes are those of every passage.
	hashes map[uint64]struct{}
	// short are the texts that are shorter than a passage: they count as a whole.
	short map[string]struct{}
	// out is what the hash of a passage has of its first rune.
	out uint64
}

// NewPassages returns the passages of texts.
func NewPassages(texts []string) *Passages {
	p := &Passages{hashes: map[uint64]struct{}{}, short: map[string]struct{}{}, out: 1}
	for range passage - 1 {
		p.out *= base
	}
	for _, text := range texts {
		normal := normalize(text)
		switch n := utf8.RuneCountInString(normal); {
		case n == 0:
		case n < passage:
			p.short[normal] = struct{}{}
		default:
			p.roll(normal, func(hash uint64) bool {
				p.hashes[hash] = struct{}{}
				return true
			})
		}
	}
	return p
}

// In reports whether one of the texts has a passage, or is as a whole one that is shorter
// than a passage.
func (p *Passages) In(texts ...string) bool {
	for _, text := range texts {
		normal := normalize(text)
		if _, found := p.short[normal]; found {
			return true
		}
		found := false
		p.roll(normal, func(hash uint64) bool {
			_, found = p.hashes[hash]
			return !found
		})
		if found {
			return true
		}
	}
	return false
}

// roll calls yield with the hash of each passage of a text, until it returns false.
func (p *Passages) roll(normal string, yield func(hash uint64) bool) {
	var window [passage]uint64
	var hash uint64
	n := 0
	for _, r := range normal {
		at := n % passage
		if n >= passage {
			hash -= window[at] * p.out
		}
		window[at] = uint64(r) + 1
		hash = hash*base + window[at]
		if n++; n >= passage && !yield(hash) {
			return
		}
	}
}

// normalize leaves letters and digits, in lower case.
func normalize(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}
