package predict

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	// endOfLine is the token that ends a line. No other token is empty.
	endOfLine = ""
	// unknown stands for a token that has no number: nothing ever came after it.
	unknown = math.MaxUint32
	// documentWeight is how many times more a count of the document itself weighs
	// than one of the training text: names and idioms repeat within a document.
	documentWeight = 8
	// unseen is the probability of a token that nothing is known about.
	unseen = 1e-5
	// unheard is the probability that a word begun is none the model has seen there.
	unheard = 0.05
	// maxTokens and minConfidence end a prediction that leads nowhere.
	maxTokens     = 60
	minConfidence = 0.01
	// manyContexts is how many contexts of one length are kept with those that were
	// seen only once.
	manyContexts = 100_000
)

// NGram predicts the next token from the tokens before it, the line break counted
// as a token, and continues until the line ends. Probabilities of all orders are
// interpolated by the method of Witten and Bell (1991, method C), counts of the
// training text and of the document added up.
type NGram struct {
	name  string
	order int
	words *vocabulary
	// counts[k] holds the contexts of k+1 tokens.
	counts []table
}

// NewNGram trains a model that looks at order-1 tokens. An order below 2 is
// taken as 2.
func NewNGram(order int, corpus Corpus) *NGram {
	return NewTaughtNGram(fmt.Sprintf("ngram-%d@1", max(order, 2)), order, corpus, nil)
}

// NewTaughtNGram trains a model of the given name that has read the corpus and then the
// lessons. A lesson counts as much as a line of the corpus, and what it was seen in is
// kept even if that was once: docs/loop.md has what was tried instead.
func NewTaughtNGram(name string, order int, corpus Corpus, lessons []Lesson) *NGram {
	m := &NGram{name: name, order: max(order, 2), words: newVocabulary(nil)}
	m.words.intern(endOfLine)
	m.counts = newTables(m.order)
	trainer := ngramPredictor{model: m, words: m.words, counts: m.counts}
	for _, lines := range corpus {
		for i, line := range lines {
			trainer.Learn(lines[:i], line)
		}
	}
	for k := range m.counts {
		if len(m.counts[k]) > manyContexts {
			m.counts[k] = m.counts[k].pruned()
		}
	}
	for _, lesson := range lessons {
		for _, line := range lesson.Before {
			m.words.internAll(Tokenize(nil, line))
		}
		trainer.Learn(lesson.Before, lesson.Line)
	}
	return m
}

func newTables(order int) []table {
	counts := make([]table, order-1)
	for k := range counts {
		counts[k] = table{}
	}
	return counts
}

// Name returns the name that the model was trained with: "ngram-ORDER@1" without lessons.
func (m *NGram) Name() string { return m.name }

// Predictor returns a predictor for one document.
func (m *NGram) Predictor() Predictor {
	return &ngramPredictor{model: m, words: newVocabulary(m.words), counts: newTables(m.order)}
}

type ngramPredictor struct {
	model  *NGram
	words  *vocabulary
	counts []table
	tokens []string
}

// Learn counts the tokens of a line after everything that may precede them.
func (p *ngramPredictor) Learn(before []string, line string) {
	ids := p.context(before, "")
	for _, token := range append(Tokenize(p.tokens[:0], line), endOfLine) {
		id := p.words.intern(token)
		hash := uint64(0)
		for k := range min(len(p.counts), len(ids)) {
			hash = extend(hash, ids[len(ids)-1-k])
			p.counts[k].add(hash, id)
		}
		ids = append(ids, id)
	}
}

// context returns the last tokens before the cursor, oldest first: as many as the
// model looks at, or fewer at the start of a document.
func (p *ngramPredictor) context(before []string, prefix string) []uint32 {
	ids := p.lookUp(nil, prefix)
	for i := len(before) - 1; i >= 0 && len(ids) < p.model.order; i-- {
		line := append(p.lookUp(nil, before[i]), 0)
		ids = append(line, ids...)
	}
	if len(ids) < p.model.order {
		// A document begins as if below an empty line.
		ids = append([]uint32{0}, ids...)
	}
	return ids[max(0, len(ids)-p.model.order):]
}

// lookUp returns the numbers of a text's tokens, unknown where there is none.
func (p *ngramPredictor) lookUp(dst []uint32, text string) []uint32 {
	p.tokens = Tokenize(p.tokens[:0], text)
	for _, token := range p.tokens {
		id, known := p.words.find(token)
		if !known {
			id = unknown
		}
		dst = append(dst, id)
	}
	return dst
}

// Suggest continues the line with the most probable first tokens, and each of
// those with the most probable next token until the line ends.
func (p *ngramPredictor) Suggest(before []string, prefix string, limit int) []Suggestion {
	ids, partial := p.context(before, prefix), ""
	if tokens := Tokenize(nil, prefix); len(tokens) > 0 {
		partial = tokens[len(tokens)-1]
	}
	first := p.candidates(ids[:len(ids)-min(1, len(partial))], partial, limit)
	if len(first) == 0 {
		// The word is new: take it as complete.
		first, partial = p.candidates(ids, "", limit), ""
	} else if partial != "" {
		ids = ids[:len(ids)-1]
	}
	var found []Suggestion
	for _, start := range first {
		if s, ok := p.complete(slices.Clone(ids), start, partial); ok {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b Suggestion) int {
		switch {
		case a.Confidence > b.Confidence:
			return -1
		case a.Confidence < b.Confidence:
			return 1
		}
		return strings.Compare(a.Text, b.Text)
	})
	return slices.CompactFunc(found, func(a, b Suggestion) bool { return a.Text == b.Text })
}

// complete follows the most probable tokens from a first one to the line's end.
func (p *ngramPredictor) complete(ids []uint32, next candidate, partial string) (Suggestion, bool) {
	var text strings.Builder
	logprob := math.Log(next.p)
	for tokens := 1; tokens <= maxTokens && logprob > math.Log(minConfidence); tokens++ {
		if next.id == 0 {
			if text.Len() == 0 {
				return Suggestion{}, false
			}
			return Suggestion{
				Text: text.String(), Confidence: math.Exp(logprob),
				Tokens: tokens, MeanLogprob: logprob / float64(tokens),
			}, true
		}
		text.WriteString(strings.TrimPrefix(p.words.text(next.id), partial))
		partial = ""
		ids = append(ids, next.id)
		best := p.candidates(ids, "", 1)
		if len(best) == 0 {
			break
		}
		next = best[0]
		logprob += math.Log(next.p)
	}
	return Suggestion{}, false
}

type candidate struct {
	id uint32
	p  float64
}

// candidates returns up to limit tokens that may come after a context and begin
// with partial, most probable first; equals in the order of their numbers.
func (p *ngramPredictor) candidates(ids []uint32, partial string, limit int) []candidate {
	levels := p.levels(ids)
	var found []candidate
	for k := len(levels) - 1; k >= 0; k-- {
		for _, source := range [2]*followers{&levels[k].document, &levels[k].training} {
			for i := range source.distinct() {
				id := source.ids[i]
				if slices.ContainsFunc(found, func(c candidate) bool { return c.id == id }) {
					continue
				}
				if partial != "" && !strings.HasPrefix(p.words.text(id), partial) {
					continue
				}
				found = append(found, candidate{id, probability(levels, id)})
			}
		}
	}
	if partial != "" {
		given(found)
	}
	slices.SortFunc(found, func(a, b candidate) int {
		switch {
		case a.p > b.p:
			return -1
		case a.p < b.p:
			return 1
		}
		return int(a.id) - int(b.id)
	})
	return found[:min(limit, len(found))]
}

// given makes probabilities conditional on the candidates being those that begin as
// the word does.
func given(alike []candidate) {
	total := unheard
	for _, c := range alike {
		total += c.p
	}
	for i := range alike {
		alike[i].p /= total
	}
}

// level is what is known after a context of one length.
type level struct {
	training, document followers
}

// levels looks up the contexts that end at the cursor, shortest first, as far as
// something is known.
func (p *ngramPredictor) levels(ids []uint32) []level {
	levels := make([]level, 0, len(p.counts))
	hash := uint64(0)
	for k := range min(len(p.counts), len(ids)) {
		hash = extend(hash, ids[len(ids)-1-k])
		l := level{training: p.model.counts[k][hash], document: p.counts[k][hash]}
		if l.training.total+l.document.total == 0 {
			break
		}
		levels = append(levels, l)
	}
	return levels
}

// probability interpolates the orders from the shortest context to the longest.
func probability(levels []level, id uint32) float64 {
	p := unseen
	for i := range levels {
		l := &levels[i]
		seen := float64(l.training.count(id)) + documentWeight*float64(l.document.count(id))
		total := float64(l.training.total) + documentWeight*float64(l.document.total)
		kinds := float64(max(l.training.distinct(), l.document.distinct()))
		p = (seen + kinds*p) / (total + kinds)
	}
	return p
}
