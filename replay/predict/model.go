// Package predict holds small language models of source code that suggest the
// rest of a line. They need no service and no network: they are trained in a
// second or so on text given to them, and learn from each document as it is typed.
//
// Training and prediction are deterministic: the same text and the same calls give
// the same suggestions on every machine.
package predict

// Model is a trained model. It never changes and is safe for concurrent use.
type Model interface {
	// Name identifies the model and its version, for example "ngram-6@1".
	Name() string
	// Predictor returns a new predictor that knows the training text and nothing
	// else yet. A predictor belongs to one goroutine.
	Predictor() Predictor
}

// Predictor predicts the lines of one document.
type Predictor interface {
	// Suggest returns up to limit different continuations of a line, best first:
	// before are the lines above it, in order, and prefix is what stands of the
	// line itself. It returns nothing where the model expects no more text.
	Suggest(before []string, prefix string, limit int) []Suggestion
	// Learn takes in a line that was written below the lines before.
	Learn(before []string, line string)
}

// Suggestion is the predicted rest of a line.
type Suggestion struct {
	// Text is what would follow the prefix up to the end of the line. It is never
	// empty and holds no line break.
	Text string
	// Confidence is the model's own probability, in (0, 1], that exactly Text
	// follows.
	Confidence float64
	// Tokens is the number of tokens in Text as the model counts them, and
	// MeanLogprob the mean of their natural log probabilities.
	Tokens      int
	MeanLogprob float64
}

// Corpus is training text: the lines of each document, without line breaks.
type Corpus [][]string
