package flywheel

import (
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// Document is a document as it is opened or closed.
type Document struct {
	// Name is unique in the session: a pseudonymous path or a counter.
	Name string
	// Version is that of the document after the event.
	Version uint64
	// Language is as the editor names it. When opened.
	Language string
	// Text is the document. When opened. Content.
	Text string
	// Length is that of the document in bytes. 0: that of Text.
	Length uint64
	// Saved says that the changes were saved. When closed.
	Saved bool
}

// DocumentOpened records that a document was opened, as it then was.
func (s *Session) DocumentOpened(d Document) {
	if !s.ok() {
		return
	}
	p := flywheelv1.DocumentOpenedFromVTPool()
	p.Document, p.Version, p.Language = s.client.label(d.Name), d.Version, s.client.label(d.Language)
	p.Length = orLength(d.Length, d.Text)
	e := s.about(nil)
	e.Content = s.client.content(texts{text: d.Text})
	e.Payload = &flywheelv1.Event_DocumentOpened{DocumentOpened: p}
	s.client.emit(e, traceLane)
}

// DocumentClosed records that a document was closed.
func (s *Session) DocumentClosed(d Document) {
	if !s.ok() {
		return
	}
	p := flywheelv1.DocumentClosedFromVTPool()
	p.Document, p.Version, p.Saved = s.client.label(d.Name), d.Version, d.Saved
	e := s.about(nil)
	e.Payload = &flywheelv1.Event_DocumentClosed{DocumentClosed: p}
	s.client.emit(e, traceLane)
}

// Edit is one change of one document: Removed bytes at Offset gave way to Text.
type Edit struct {
	// Document is the document's name.
	Document string
	// Version is that of the document after the edit.
	Version uint64
	// Offset is where the change begins, in bytes of UTF-8.
	Offset uint64
	// Removed is how many bytes were removed.
	Removed uint64
	// Text was inserted. Content.
	Text string
	// Inserted is how many bytes were inserted. 0: as many as Text has.
	Inserted uint64
	// Source is who made the edit.
	Source EditSource
	// Interaction is the one that was applied, where Source says so.
	Interaction *Interaction
}

// Edit records a change of a document. Every change in its order, with its offsets
// and versions, makes the session reproducible.
func (s *Session) Edit(edit Edit) {
	if !s.ok() {
		return
	}
	p := flywheelv1.EditFromVTPool()
	p.Document, p.Version, p.Offset = s.client.label(edit.Document), edit.Version, edit.Offset
	p.RemovedLength, p.InsertedLength = edit.Removed, orLength(edit.Inserted, edit.Text)
	p.Source = edit.Source
	e := s.about(edit.Interaction)
	e.Content = s.client.content(texts{text: edit.Text})
	e.Payload = &flywheelv1.Event_Edit{Edit: p}
	s.client.emit(e, traceLane)
}

func orLength(length uint64, text string) uint64 {
	if length == 0 {
		return uint64(len(text))
	}
	return length
}

// Selection is where the selection or the cursor is.
type Selection struct {
	// Document is the document's name, Version its version.
	Document string
	Version  uint64
	// Anchor is the fixed end and Head the moving one, in bytes of UTF-8; they are
	// equal for a cursor.
	Anchor, Head uint64
}

// Selection records that the selection or the cursor moved.
func (s *Session) Selection(selection Selection) {
	if !s.ok() {
		return
	}
	p := flywheelv1.SelectionFromVTPool()
	p.Document, p.Version = s.client.label(selection.Document), selection.Version
	p.Anchor, p.Head = selection.Anchor, selection.Head
	e := s.about(nil)
	e.Payload = &flywheelv1.Event_Selection{Selection: p}
	s.client.emit(e, traceLane)
}

// Message is one message of a conversation.
type Message struct {
	// Role is who said it.
	Role Role
	// Model wrote it. Empty for people.
	Model string
	// Text is the message. Content.
	Text string
	// Tokens of the message. 0: not counted.
	Tokens uint32
	// Chars is its length in characters. 0: that of Text.
	Chars uint32
	// Interaction is the one that the message is, or answers.
	Interaction *Interaction
}

// Message records a message of a conversation.
func (s *Session) Message(m Message) {
	if !s.ok() {
		return
	}
	p := flywheelv1.MessageFromVTPool()
	p.Role, p.Model, p.Tokens, p.Chars = m.Role, s.client.label(m.Model), m.Tokens, m.Chars
	if p.Chars == 0 {
		p.Chars = chars(m.Text)
	}
	e := s.about(m.Interaction)
	e.Content = s.client.content(texts{text: m.Text})
	e.Payload = &flywheelv1.Event_Message{Message: p}
	s.client.emit(e, traceLane)
}

// ToolCall is an agent's call of a tool, as far as it is known.
type ToolCall struct {
	// CallID identifies the call in the session.
	CallID string
	// Tool is its name, Kind for example "native" or "mcp".
	Tool, Kind string
	// Decision is what was decided about the call, DecidedBy by whom.
	Decision  ToolDecision
	DecidedBy DecisionSource
	// Status is how the call ended, Duration how long it took.
	Status   ToolStatus
	Duration time.Duration
	// ErrorType is the class of the error, where it failed.
	ErrorType string
	// Arguments are JSON. Content.
	Arguments string
	// Result is what the tool returned. Content.
	Result string
	// Interaction is the one that asked for the call.
	Interaction *Interaction
}

// ToolCall records a call of a tool. It may be recorded again as the call goes on,
// with the same CallID: what is known later is added.
func (s *Session) ToolCall(t ToolCall) {
	if !s.ok() {
		return
	}
	p := flywheelv1.ToolCallFromVTPool()
	p.CallId, p.Tool, p.Kind = s.client.label(t.CallID), s.client.label(t.Tool), s.client.label(t.Kind)
	p.Decision, p.DecidedBy, p.Status = t.Decision, t.DecidedBy, t.Status
	p.DurationUs, p.ErrorType = micros(t.Duration), s.client.label(t.ErrorType)
	e := s.about(t.Interaction)
	e.Content = s.client.content(texts{text: t.Result, arguments: t.Arguments})
	e.Payload = &flywheelv1.Event_ToolCall{ToolCall: p}
	s.client.emit(e, traceLane)
}
