package signal

import (
	"errors"
	"fmt"
	"math"
	"slices"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

func (b *Batch) generated(h *head, p *flywheelv1.Generated) error {
	var names naming
	kind := names.name(&kinds, int32(p.GetKind()))
	if names.err != nil {
		return names.err
	}
	if p.MeanLogprob != nil && math.IsNaN(float64(*p.MeanLogprob)) {
		return errors.New("mean_logprob is not a number")
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raise(&row.Kind, kind)
	raise(&row.GeneratedAt, h.at)
	raise(&row.GeneratedSequence, h.event.GetSequence())
	raise(&row.FirstTokenUs, micros(p.GetFirstTokenUs()))
	raise(&row.LatencyUs, micros(p.GetLatencyUs()))
	raise(&row.PromptTokens, p.GetPromptTokens())
	raise(&row.CachedTokens, p.GetCachedTokens())
	raise(&row.OutputTokens, p.GetOutputTokens())
	raise(&row.OutputChars, p.GetOutputChars())
	raise(&row.OutputLines, p.GetOutputLines())
	raiseFloat(&row.MeanLogprob, p.MeanLogprob)
	if text := b.text(h, h.interaction); text != nil {
		raise(&text.Prompt, h.event.GetContent().GetPrompt())
		raise(&text.Output, h.event.GetContent().GetText())
	}
	return nil
}

func (b *Batch) shown(h *head, p *flywheelv1.Shown) error {
	var d warehouse.Dimensions
	if err := readDimensions(&d, p.GetDimensions()); err != nil {
		return err
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raiseDimensions(&row.Dimensions, &d)
	raise(&row.ShownAt, h.at)
	raise(&row.ShownSequence, h.event.GetSequence())
	raise(&row.ShownLatencyUs, micros(p.GetLatencyUs()))
	b.text(h, h.interaction)
	return nil
}

func (b *Batch) notShown(h *head, p *flywheelv1.NotShown) error {
	var d warehouse.Dimensions
	if err := readDimensions(&d, p.GetDimensions()); err != nil {
		return err
	}
	var names naming
	reason := names.name(&notShownReasons, int32(p.GetReason()))
	if names.err != nil {
		return names.err
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raiseDimensions(&row.Dimensions, &d)
	raise(&row.NotShownAt, h.at)
	raise(&row.NotShownReason, reason)
	b.text(h, h.interaction)
	return nil
}

func (b *Batch) read(h *head, p *flywheelv1.Read) error {
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raise(&row.VisibleUs, micros(p.GetVisibleUs()))
	b.text(h, h.interaction)
	return nil
}

func (b *Batch) ended(h *head, p *flywheelv1.Ended) error {
	if p.GetOutcome() == flywheelv1.Outcome_OUTCOME_UNSPECIFIED {
		return errors.New("outcome is not set")
	}
	var names naming
	names.name(&outcomes, int32(p.GetOutcome()))
	decidedBy := names.name(&decisionSources, int32(p.GetDecidedBy()))
	if names.err != nil {
		return names.err
	}
	supersededBy, err := optionalID("superseded_by", p.GetSupersededBy())
	if err != nil {
		return err
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raise(&row.OutcomeRank, outcomeClass(p.GetOutcome())<<62|latest(h.at, uint8(p.GetOutcome())))
	raise(&row.EndedSequence, h.event.GetSequence())
	raise(&row.VisibleUs, micros(p.GetVisibleUs()))
	raise(&row.AcceptedChars, p.GetAcceptedChars())
	raise(&row.AcceptedLines, p.GetAcceptedLines())
	raiseID(&row.SupersededBy, supersededBy)
	raise(&row.DecidedBy, decidedBy)
	raise(&row.OutcomeDetail, p.GetDetail())
	if text := b.text(h, h.interaction); text != nil {
		raise(&text.FinalText, h.event.GetContent().GetUserText())
	}
	return nil
}

// outcomeClass orders outcomes: an acceptance beats an explicit rejection, which
// beats an automatic acceptance, which beats the passive ones.
func outcomeClass(o flywheelv1.Outcome) uint64 {
	switch o {
	case flywheelv1.Outcome_OUTCOME_ACCEPTED, flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED, flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED:
		return 3
	case flywheelv1.Outcome_OUTCOME_REJECTED:
		return 2
	case flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED:
		return 1
	default:
		return 0
	}
}

func (b *Batch) retention(h *head, p *flywheelv1.Retention) error {
	delays := warehouse.RetentionDelays()
	i := slices.Index(delays[:], p.GetDelayS())
	if i < 0 {
		return fmt.Errorf("retention after %d s: it is kept after %v s", p.GetDelayS(), delays)
	}
	var fourGram uint16
	if g := p.FourGram; g != nil {
		if !(*g >= 0 && *g <= 1) { // also not a number
			return fmt.Errorf("four_gram %v: outside 0 to 1", *g)
		}
		fourGram = uint16(math.Round(float64(*g)*10000)) + 1
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raise(&row.RetainedChars[i], min(p.GetRetainedChars(), math.MaxUint32-1)+1)
	raise(&row.FourGram[i], fourGram)
	if p.GetBranchChanged() {
		row.BranchChanged |= 1 << i
	}
	b.text(h, h.interaction)
	return nil
}

// feedback about no interaction is a step of the session. Its user_text is the
// correction whether or not the event says that there is one.
func (b *Batch) feedback(h *head, p *flywheelv1.Feedback) error {
	var names naming
	names.name(&thumbs, int32(p.GetThumb()))
	if names.err != nil {
		return names.err
	}
	if p.GetRating() > 100 {
		return fmt.Errorf("rating %d: outside 0 to 100", p.GetRating())
	}
	if !h.hasInteraction {
		return b.addStep(h)
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	if p.GetThumb() != flywheelv1.Thumb_THUMB_UNSPECIFIED {
		raise(&row.ThumbRank, latest(h.at, uint8(p.GetThumb())))
	}
	if p.Rating != nil {
		raise(&row.RatingRank, latest(h.at, uint8(*p.Rating)+1))
	}
	if text := b.text(h, h.interaction); text != nil {
		raise(&text.Correction, h.event.GetContent().GetUserText())
		raise(&text.Comment, h.event.GetContent().GetComment())
	}
	return nil
}

// taskOutcome about no interaction is a step of the session.
func (b *Batch) taskOutcome(h *head, p *flywheelv1.TaskOutcome) error {
	if p.GetResult() == flywheelv1.TaskResult_TASK_RESULT_UNSPECIFIED {
		return errors.New("task result is not set")
	}
	var names naming
	names.name(&taskResults, int32(p.GetResult()))
	if names.err != nil {
		return names.err
	}
	if !h.hasInteraction {
		return b.addStep(h)
	}
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	row.TaskResults |= 1 << p.GetResult()
	b.text(h, h.interaction)
	return nil
}

func (b *Batch) alternative(h *head, p *flywheelv1.Alternative) error {
	row, err := b.interaction(h)
	if err != nil {
		return err
	}
	raise(&row.AlternativeAt, h.at)
	raise(&row.AlternativeChars, p.GetUserChars())
	if p.GetNoEdit() {
		row.AlternativeNoEdit = 1
	}
	if text := b.text(h, h.interaction); text != nil {
		raise(&text.Alternative, h.event.GetContent().GetUserText())
	}
	return nil
}
