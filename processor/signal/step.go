package signal

import (
	"errors"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

func (b *Batch) edit(h *head, p *flywheelv1.Edit) error {
	var names naming
	names.name(&editSources, int32(p.GetSource()))
	if names.err != nil {
		return names.err
	}
	b.Edits = append(b.Edits, warehouse.Edit{
		Tenant:         h.tenant,
		SessionID:      h.session,
		Sequence:       h.event.GetSequence(),
		EventID:        h.id,
		Time:           h.at,
		InteractionID:  h.interaction,
		Document:       p.GetDocument(),
		Version:        p.GetVersion(),
		Offset:         p.GetOffset(),
		RemovedLength:  p.GetRemovedLength(),
		InsertedLength: p.GetInsertedLength(),
		Source:         int8(p.GetSource()),
		Consent:        uint8(h.event.GetContent().GetConsent()),
		Text:           h.event.GetContent().GetText(),
	})
	return nil
}

// addStep adds the row of an event that is a step of its session.
func (b *Batch) addStep(h *head) error {
	c := h.event.GetContent()
	b.Steps = append(b.Steps, warehouse.Step{
		Tenant:        h.tenant,
		SessionID:     h.session,
		Sequence:      h.event.GetSequence(),
		EventID:       h.id,
		Time:          h.at,
		OpportunityID: h.opportunity,
		InteractionID: h.interaction,
		Consent:       uint8(c.GetConsent()),
		Text:          c.GetText(),
		Arguments:     c.GetArguments(),
		UserText:      c.GetUserText(),
		Comment:       c.GetComment(),
	})
	last := len(b.Steps) - 1
	if err := fillStep(&b.Steps[last], h.event); err != nil {
		b.Steps[last] = warehouse.Step{}
		b.Steps = b.Steps[:last]
		return err
	}
	return nil
}

// fillStep sets the columns that a step's kind uses.
func fillStep(s *warehouse.Step, e *flywheelv1.Event) error {
	switch payload := e.GetPayload().(type) {
	case *flywheelv1.Event_Feedback:
		return fillFeedback(s, payload.Feedback)
	case *flywheelv1.Event_TaskOutcome:
		p := payload.TaskOutcome
		var names naming
		s.Kind, s.Detail = "task_outcome", p.GetDetail()
		s.TaskResult = names.name(&taskResults, int32(p.GetResult()))
		return names.err
	case *flywheelv1.Event_SessionStarted:
		return fillSession(s, payload.SessionStarted)
	case *flywheelv1.Event_SessionEnded:
		s.Kind, s.Detail = "session_ended", payload.SessionEnded.GetReason()
	case *flywheelv1.Event_DocumentOpened:
		p := payload.DocumentOpened
		s.Kind, s.Document, s.Version = "document_opened", p.GetDocument(), p.GetVersion()
		s.Position, s.Language = p.GetLength(), p.GetLanguage()
	case *flywheelv1.Event_DocumentClosed:
		p := payload.DocumentClosed
		s.Kind, s.Document, s.Version = "document_closed", p.GetDocument(), p.GetVersion()
		if p.GetSaved() {
			s.Detail = "saved"
		}
	case *flywheelv1.Event_Selection:
		p := payload.Selection
		s.Kind, s.Document, s.Version = "selection", p.GetDocument(), p.GetVersion()
		s.Position, s.Head = p.GetAnchor(), p.GetHead()
	case *flywheelv1.Event_Message:
		p := payload.Message
		var names naming
		s.Kind, s.Model, s.Tokens, s.Chars = "message", p.GetModel(), p.GetTokens(), p.GetChars()
		s.Role = names.name(&roles, int32(p.GetRole()))
		return names.err
	case *flywheelv1.Event_ToolCall:
		return fillToolCall(s, payload.ToolCall)
	default:
		return errors.New("the event has no payload that this processor knows: a newer one is needed")
	}
	return nil
}

func fillFeedback(s *warehouse.Step, p *flywheelv1.Feedback) error {
	var names naming
	s.Kind, s.Author = "feedback", p.GetAuthor()
	s.Thumb = names.name(&thumbs, int32(p.GetThumb()))
	if p.Rating != nil {
		s.Rating = new(uint8(*p.Rating))
	}
	return names.err
}

func fillSession(s *warehouse.Step, p *flywheelv1.SessionStarted) (err error) {
	s.Kind = "session_started"
	s.Client, s.ClientVersion = p.GetClient(), p.GetClientVersion()
	s.User, s.Repository, s.Platform = p.GetUser(), p.GetRepository(), p.GetPlatform()
	s.ParentSessionID, err = optionalID("parent_session_id", p.GetParentSessionId())
	return err
}

func fillToolCall(s *warehouse.Step, p *flywheelv1.ToolCall) error {
	var names naming
	s.Kind = "tool_call"
	s.CallID, s.Tool, s.ToolKind, s.ErrorType = p.GetCallId(), p.GetTool(), p.GetKind(), p.GetErrorType()
	s.Decision = names.name(&toolDecisions, int32(p.GetDecision()))
	s.DecidedBy = names.name(&decisionSources, int32(p.GetDecidedBy()))
	s.Status = names.name(&toolStatuses, int32(p.GetStatus()))
	s.DurationUs = micros(p.GetDurationUs())
	return names.err
}
