package predict

import (
	"math"
	"slices"
	"strings"
)

// minPrefix is how many characters of a line must stand before the baseline
// completes it from lines that begin alike.
const minPrefix = 3

// Frequency is the baseline: it knows whole lines only. At the start of a line it
// suggests the line that most often came below the same line; within a line, the
// most frequent line that begins with the same text.
type Frequency struct {
	lines *vocabulary
	below table
	// sorted holds the distinct lines in order, and times how often each came, so
	// that lines which begin alike stand together.
	sorted []string
	times  []uint32
}

// NewFrequency counts the lines of the corpus.
func NewFrequency(corpus Corpus) *Frequency {
	m := &Frequency{lines: newVocabulary(nil), below: table{}}
	seen := map[string]uint32{}
	for _, lines := range corpus {
		for i, line := range lines {
			if strings.TrimSpace(line) == "" {
				continue
			}
			seen[line]++
			m.below.add(lineAbove(lines[:i]), m.lines.intern(line))
		}
	}
	for line := range seen {
		m.sorted = append(m.sorted, line)
	}
	slices.Sort(m.sorted)
	for _, line := range m.sorted {
		m.times = append(m.times, seen[line])
	}
	return m
}

// Name returns "frequency@1".
func (m *Frequency) Name() string { return "frequency@1" }

// Predictor returns a predictor for one document.
func (m *Frequency) Predictor() Predictor {
	return &frequencyPredictor{model: m, lines: newVocabulary(m.lines), below: table{}, seen: map[string]uint32{}}
}

type frequencyPredictor struct {
	model *Frequency
	lines *vocabulary
	below table
	// typed holds the distinct lines of the document in the order of their first
	// appearance, seen how often each came.
	typed []string
	seen  map[string]uint32
}

// Learn counts a line and what it stands below of.
func (p *frequencyPredictor) Learn(before []string, line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	p.below.add(lineAbove(before), p.lines.intern(line))
	if p.seen[line] == 0 {
		p.typed = append(p.typed, line)
	}
	p.seen[line]++
}

// Suggest returns the most frequent lines with the share each has among all.
func (p *frequencyPredictor) Suggest(before []string, prefix string, limit int) []Suggestion {
	shares := p.beginning(prefix)
	if strings.TrimSpace(prefix) == "" {
		shares = p.following(lineAbove(before), prefix)
	}
	slices.SortFunc(shares, func(a, b share) int {
		switch {
		case a.of > b.of:
			return -1
		case a.of < b.of:
			return 1
		}
		return strings.Compare(a.line, b.line)
	})
	var found []Suggestion
	for _, s := range shares[:min(limit, len(shares))] {
		found = append(found, Suggestion{
			Text: s.line[len(prefix):], Confidence: s.of, Tokens: 1, MeanLogprob: math.Log(s.of),
		})
	}
	return found
}

type share struct {
	line string
	of   float64
}

// following returns what came below a line, with additive smoothing of one.
func (p *frequencyPredictor) following(above uint64, prefix string) []share {
	training, document := p.model.below[above], p.below[above]
	total := float64(training.total) + documentWeight*float64(document.total) + 1
	var shares []share
	for _, source := range [2]*followers{&document, &training} {
		for i := range source.distinct() {
			id := source.ids[i]
			line := p.lines.text(id)
			known := slices.ContainsFunc(shares, func(s share) bool { return s.line == line })
			if known || len(line) <= len(prefix) || !strings.HasPrefix(line, prefix) {
				continue
			}
			seen := float64(training.count(id)) + documentWeight*float64(document.count(id))
			shares = append(shares, share{line, seen / total})
		}
	}
	return shares
}

// beginning returns the lines that begin with a prefix, with additive smoothing of
// one.
func (p *frequencyPredictor) beginning(prefix string) []share {
	if len(strings.TrimSpace(prefix)) < minPrefix {
		return nil
	}
	total, times := 1.0, map[string]float64{}
	first, _ := slices.BinarySearch(p.model.sorted, prefix)
	for i := first; i < len(p.model.sorted) && strings.HasPrefix(p.model.sorted[i], prefix); i++ {
		times[p.model.sorted[i]] += float64(p.model.times[i])
		total += float64(p.model.times[i])
	}
	for _, line := range p.typed {
		if strings.HasPrefix(line, prefix) {
			times[line] += documentWeight * float64(p.seen[line])
			total += documentWeight * float64(p.seen[line])
		}
	}
	var shares []share
	for line, n := range times {
		if len(line) > len(prefix) {
			shares = append(shares, share{line, n / total})
		}
	}
	return shares
}

// lineAbove is the context of a line: the nearest line above that is not blank,
// and whether it stands directly above.
func lineAbove(before []string) uint64 {
	distance := uint32(0)
	for _, line := range slices.Backward(before) {
		if strings.TrimSpace(line) != "" {
			hash := extend(0, distance)
			for i := range len(line) {
				hash = extend(hash, uint32(line[i]))
			}
			return hash
		}
		distance = 1
	}
	return 0
}
