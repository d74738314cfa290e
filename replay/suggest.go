package replay

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/replay/predict"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

const (
	// promptLines is how many lines above the cursor the model is given.
	promptLines = 12
	// cacheTime is how long the agent keeps an answer for the same question.
	cacheTime = time.Minute
	// cycleTime is how much longer than it takes to read a useless suggestion the
	// author must be pausing to ask for another one.
	cycleTime = 800 * time.Millisecond
)

// suggestion is model output on the screen.
type suggestion struct {
	interaction *flywheel.Interaction
	// line is the whole line it would make, text the part it would add at byte from.
	line, text string
	from       int
	shownAt    time.Time
	ended      bool
}

// question is one request to the model.
type question struct {
	place
	trigger flywheelv1.Trigger
	// choice is which of the model's answers is wanted: 0 the best.
	choice int
	// pause is how long the author will go on pausing.
	pause time.Duration
}

// cached is an answer and how long it holds.
type cached struct {
	found []predict.Suggestion
	until time.Time
}

// pause lets the author pause at a place, which makes the agent ask its model. It
// returns how many bytes of the line the author took from a suggestion.
func (s *session) pause(p place, pause time.Duration, trigger flywheelv1.Trigger) int {
	wait := debounce
	if trigger == flywheelv1.Trigger_TRIGGER_ACCEPTANCE {
		wait = 0
	}
	if pause < wait || s.quota <= 0 {
		s.ahead = time.Time{}
		s.clock.advance(pause)
		return 0
	}
	s.clock.advance(wait)
	return s.ask(question{place: p, trigger: trigger, pause: pause - wait})
}

// ask opens an opportunity and follows it to what the author does with it.
func (s *session) ask(q question) int {
	found, source := s.answers(q)
	dims := s.dimensions(q.trigger, source)
	opportunity := s.emit.Opportunity(dims)
	s.count("requested")
	s.counts.Opportunities++
	best, latency := s.choose(q, found, source)
	if latency > q.pause {
		s.clock.advance(q.pause)
		s.nothing(opportunity, flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_CANCELLED, "typed on", q.pause)
		return 0
	}
	s.clock.advance(latency)
	q.pause -= latency
	switch {
	case strings.TrimSpace(best.Text) == "" || best.Confidence < s.threshold() && q.choice == 0:
		s.nothing(opportunity, flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_NO_EDIT, "", latency)
	case s.open != nil && s.open.line == q.prefix()+best.Text:
		s.nothing(opportunity, flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_FILTERED, "on the screen already", latency)
	default:
		return s.offer(q, opportunity, best, dims, latency, len(found) > q.choice+1)
	}
	s.clock.advance(q.pause)
	return 0
}

func (s *session) nothing(o *flywheel.Opportunity, reason flywheelv1.NotProducedReason, detail string, latency time.Duration) {
	o.NotProduced(reason, detail, latency)
	s.count("not_produced")
	s.counts.NotProduced++
}

// answers asks the model, or the cache where the same was asked a short time ago.
func (s *session) answers(q question) ([]predict.Suggestion, flywheelv1.Source) {
	key := s.name + "\n" + strings.Join(q.before[max(0, len(q.before)-2):], "\n") + "\n" + q.prefix()
	if known, ok := s.cache[key]; ok && s.clock.now.Before(known.until) {
		return known.found, flywheelv1.Source_SOURCE_CACHE
	}
	found := s.predictor.Suggest(q.before[max(0, len(q.before)-promptLines):], q.prefix(), 2)
	s.cache[key] = cached{found: found, until: s.clock.now.Add(cacheTime)}
	if q.trigger == flywheelv1.Trigger_TRIGGER_ACCEPTANCE {
		return found, flywheelv1.Source_SOURCE_SPECULATIVE
	}
	return found, flywheelv1.Source_SOURCE_LOCAL
}

// choose returns the wanted answer and how long it takes from the request. What was
// asked ahead of the request has taken some of its time already.
func (s *session) choose(q question, found []predict.Suggestion, source flywheelv1.Source) (predict.Suggestion, time.Duration) {
	var best predict.Suggestion
	if q.choice < len(found) {
		best = found[q.choice]
	}
	latency := s.pace.answering(best.Tokens)
	if source == flywheelv1.Source_SOURCE_CACHE {
		latency = cachedTime
	}
	if !s.ahead.IsZero() {
		latency = max(0, latency-s.clock.now.Sub(s.ahead))
		s.ahead = time.Time{}
	}
	return best, latency
}

func (s *session) dimensions(trigger flywheelv1.Trigger, source flywheelv1.Source) flywheel.Dimensions {
	dims := flywheel.Dimensions{
		Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: s.model.Name(), Variant: s.arm.variant,
		Experiment: s.arm.experiment, Language: s.language, ClientSetting: s.setting(),
		ViewKind: flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT, Source: source, Trigger: trigger,
	}
	if trigger == flywheelv1.Trigger_TRIGGER_ACCEPTANCE {
		dims.Surface = flywheelv1.Surface_SURFACE_NEXT_EDIT
		dims.ViewKind = flywheelv1.ViewKind_VIEW_KIND_INLINE_DIFF
	}
	return dims
}

// offer makes an interaction of the model's output and shows it, unless the author
// has just rejected the same.
func (s *session) offer(q question, o *flywheel.Opportunity, best predict.Suggestion, dims flywheel.Dimensions, latency time.Duration, more bool) int {
	kind := flywheelv1.InteractionKind_INTERACTION_KIND_COMPLETION
	if dims.Surface == flywheelv1.Surface_SURFACE_NEXT_EDIT {
		kind = flywheelv1.InteractionKind_INTERACTION_KIND_EDIT
	}
	interaction := o.Suggest(flywheel.Suggestion{
		Kind: kind, Prompt: prompt(q.place), Output: best.Text, Latency: latency,
		OutputTokens: uint32(best.Tokens), MeanLogprob: new(float32(best.MeanLogprob)),
	})
	if s.cfg.Witness != nil {
		s.cfg.Witness(interaction.ID(), s.name, s.doc.text)
	}
	s.count("generated")
	s.counts.Suggestions++
	s.quota--
	shown := &suggestion{
		interaction: interaction, line: q.prefix() + best.Text, text: best.Text, from: q.col, shownAt: s.clock.now,
	}
	if shown.line == s.rejected {
		interaction.NotShown(flywheelv1.NotShownReason_NOT_SHOWN_REASON_PREVIOUSLY_REJECTED)
		s.count("not_shown")
		s.counts.NotShown++
		s.clock.advance(q.pause)
		return 0
	}
	s.show(shown, latency)
	return s.decide(q, more)
}

// prompt is what the model is given.
func prompt(p place) string {
	above := p.before[max(0, len(p.before)-promptLines):]
	return strings.Join(append(slices.Clip(above), p.prefix()), "\n")
}

// show puts a suggestion on the screen, in the place of one that is open.
func (s *session) show(next *suggestion, latency time.Duration) {
	next.interaction.Shown(flywheel.Shown{Latency: latency})
	s.count("shown")
	s.counts.Shown++
	s.counts.Undecided++
	s.counts.ShownChars += uint64(utf8.RuneCountInString(next.text))
	if old := s.open; old != nil {
		s.end(flywheelv1.Outcome_OUTCOME_SUPERSEDED)
		old.interaction.Superseded(next.interaction)
	}
	s.open = next
	s.clock.at(next.shownAt.Add(minRead), func() {
		if !next.ended {
			next.interaction.Read(minRead)
			s.count("read")
			s.counts.Read++
		}
	})
}

// decide lets the author, who knows what the line will be, act on the open
// suggestion. more says that the model has another answer.
func (s *session) decide(q question, more bool) int {
	reading := s.pace.reading(s.open.text)
	what, taken := judge(s.open.text, q.rest())
	switch {
	case what != wrong:
		s.clock.advance(reading)
		return s.take(q.place, what, taken)
	case more && s.quota > 0 && q.pause >= reading+cycleTime:
		s.clock.advance(reading)
		q.trigger, q.choice, q.pause = flywheelv1.Trigger_TRIGGER_EXPLICIT, q.choice+1, q.pause-reading
		return s.ask(q)
	}
	s.clock.advance(q.pause)
	return 0
}

// take lets the author take so many bytes of the open suggestion, and returns how many
// bytes of the line are written then.
func (s *session) take(p place, what verdict, taken int) int {
	open, rest := s.open, p.rest()
	s.insert(p, open.text[:taken], open.interaction)
	chars := utf8.RuneCountInString(open.text[:taken])
	switch what {
	case takePart:
		s.end(flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED)
		open.interaction.PartiallyAccepted(uint32(chars), 0)
	case takeAndFix:
		fix := correction(open.text, rest)
		fix.offset += p.offset + p.col
		s.clock.advance(s.pace.fixing(fix.text))
		s.edit(fix)
		s.end(flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED)
		open.interaction.AcceptedModified(rest)
		taken = len(rest)
	default:
		s.end(flywheelv1.Outcome_OUTCOME_ACCEPTED)
		open.interaction.Accepted()
	}
	s.counts.AcceptedChars += uint64(chars)
	if p.col+taken == len(p.line) {
		s.ahead = s.clock.now
	}
	return taken
}
