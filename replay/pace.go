package replay

import (
	"math/rand/v2"
	"time"
	"unicode/utf8"
)

// The virtual author's pace. All of it is drawn from the session's seeded source,
// and none of it depends on what the author is going to write.
const (
	// keyTime is the mean time of one key stroke.
	keyTime = 120 * time.Millisecond
	// chunkChars is the largest number of characters that become one edit event.
	chunkChars = 16
	// lineThought is the shortest pause at the start of a line, lineWander the mean
	// of the exponentially distributed rest of it, up to longestThought in all.
	lineThought    = 250 * time.Millisecond
	lineWander     = 900 * time.Millisecond
	longestThought = 10 * time.Second
	// wordPause is how likely a pause is between two chunks of a line.
	wordPause   = 0.12
	wordThought = 150 * time.Millisecond
	wordWander  = 500 * time.Millisecond
	// glance and glanceChar are the time to read a suggestion: so much, and so much
	// for each of its characters.
	glance     = 250 * time.Millisecond
	glanceChar = 15 * time.Millisecond
	// fixTime is how long it takes to find what has to be corrected.
	fixTime = 600 * time.Millisecond
	// reopenTime passes between the versions of a document with a history.
	reopenTime = 20 * time.Second
	// debounce is how long the author must pause for the agent to ask the model.
	debounce = 200 * time.Millisecond
	// answerTime and answerToken are the model's: so much, and so much per token.
	answerTime  = 40 * time.Millisecond
	answerToken = 6 * time.Millisecond
	// cachedTime is how long an answer from the cache takes.
	cachedTime = 2 * time.Millisecond
)

// pace draws the durations of a session.
type pace struct {
	rng *rand.Rand
	// speed stretches everything the author does: 1 is average, 2 twice as slow.
	speed float64
}

func newPace(rng *rand.Rand) *pace {
	return &pace{rng: rng, speed: 0.7 + 0.7*rng.Float64()}
}

// around returns a duration up to a quarter longer or shorter than d.
func (p *pace) around(d time.Duration) time.Duration {
	return microseconds(float64(d) * (0.75 + 0.5*p.rng.Float64()))
}

func (p *pace) thought(least, mean time.Duration) time.Duration {
	wander := p.rng.ExpFloat64() * float64(mean)
	return microseconds(p.speed * min(float64(longestThought), float64(least)+wander))
}

// atLineStart returns the pause before a line is begun.
func (p *pace) atLineStart() time.Duration { return p.thought(lineThought, lineWander) }

// withinLine returns the pause between two chunks, which is mostly none.
func (p *pace) withinLine() time.Duration {
	if p.rng.Float64() >= wordPause {
		return 0
	}
	return p.thought(wordThought, wordWander)
}

// chunk returns how many bytes of the rest of a line are typed as one edit.
func (p *pace) chunk(rest string) int {
	bytes := 0
	for range 1 + p.rng.IntN(chunkChars) {
		_, size := utf8.DecodeRuneInString(rest[bytes:])
		bytes += size
	}
	return bytes
}

// typing returns how long it takes to type a text.
func (p *pace) typing(text string) time.Duration {
	return p.around(microseconds(p.speed * float64(keyTime) * float64(utf8.RuneCountInString(text))))
}

// reading returns how long it takes to read a suggestion.
func (p *pace) reading(text string) time.Duration {
	chars := float64(utf8.RuneCountInString(text))
	return p.around(microseconds(p.speed * (float64(glance) + float64(glanceChar)*chars)))
}

// fixing returns how long it takes to correct an accepted suggestion.
func (p *pace) fixing(text string) time.Duration { return p.around(fixTime) + p.typing(text) }

// answering returns how long the model takes, from request to the whole answer.
func (p *pace) answering(tokens int) time.Duration {
	return p.around(answerTime + time.Duration(tokens)*answerToken)
}

// microseconds is the resolution of the virtual clock, as it is of the events.
func microseconds(d float64) time.Duration { return time.Duration(d).Truncate(time.Microsecond) }
