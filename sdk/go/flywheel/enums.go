package flywheel

import flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"

// The closed vocabularies of the contract (proto/flywheel/v1/event.proto says what
// each value means). They are the generated types, so that values of both packages
// can be mixed.
type (
	// Surface is where the user meets the agent.
	Surface = flywheelv1.Surface
	// ViewKind is how an output is drawn.
	ViewKind = flywheelv1.ViewKind
	// Source is where an output came from.
	Source = flywheelv1.Source
	// Trigger is what caused a request.
	Trigger = flywheelv1.Trigger
	// InteractionKind is what kind of output an interaction is.
	InteractionKind = flywheelv1.InteractionKind
	// NotProducedReason is why an opportunity has no interaction.
	NotProducedReason = flywheelv1.NotProducedReason
	// NotShownReason is why an output was withheld from the user.
	NotShownReason = flywheelv1.NotShownReason
	// Outcome is a terminal outcome of an interaction.
	Outcome = flywheelv1.Outcome
	// DecisionSource is who or what took a decision.
	DecisionSource = flywheelv1.DecisionSource
	// Thumb is a judgement in one bit.
	Thumb = flywheelv1.Thumb
	// TaskResult is one fact about how a task turned out.
	TaskResult = flywheelv1.TaskResult
	// EditSource is who made an edit.
	EditSource = flywheelv1.EditSource
	// Role is who said a message.
	Role = flywheelv1.Role
	// ToolDecision is what was decided about a tool call.
	ToolDecision = flywheelv1.ToolDecision
	// ToolStatus is how a tool call ended.
	ToolStatus = flywheelv1.ToolStatus
	// Consent is what the user allowed text to be used for.
	Consent = flywheelv1.Consent
)

// Surfaces.
const (
	SurfaceInlineCompletion = flywheelv1.Surface_SURFACE_INLINE_COMPLETION
	SurfaceNextEdit         = flywheelv1.Surface_SURFACE_NEXT_EDIT
	SurfaceChat             = flywheelv1.Surface_SURFACE_CHAT
	SurfaceInlineChat       = flywheelv1.Surface_SURFACE_INLINE_CHAT
	SurfaceAgent            = flywheelv1.Surface_SURFACE_AGENT
	SurfaceCLI              = flywheelv1.Surface_SURFACE_CLI
	SurfaceReview           = flywheelv1.Surface_SURFACE_REVIEW
)

// Kinds of view.
const (
	ViewGhostText  = flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT
	ViewInlineDiff = flywheelv1.ViewKind_VIEW_KIND_INLINE_DIFF
	ViewSideBySide = flywheelv1.ViewKind_VIEW_KIND_SIDE_BY_SIDE
	ViewJumpHint   = flywheelv1.ViewKind_VIEW_KIND_JUMP_HINT
	ViewList       = flywheelv1.ViewKind_VIEW_KIND_LIST
	ViewCodeBlock  = flywheelv1.ViewKind_VIEW_KIND_CODE_BLOCK
	ViewDiff       = flywheelv1.ViewKind_VIEW_KIND_DIFF
	ViewText       = flywheelv1.ViewKind_VIEW_KIND_TEXT
)

// Sources of an output.
const (
	SourceNetwork          = flywheelv1.Source_SOURCE_NETWORK
	SourceCache            = flywheelv1.Source_SOURCE_CACHE
	SourceSpeculative      = flywheelv1.Source_SOURCE_SPECULATIVE
	SourceLocal            = flywheelv1.Source_SOURCE_LOCAL
	SourceTypedAsSuggested = flywheelv1.Source_SOURCE_TYPED_AS_SUGGESTED
	SourceDiagnostics      = flywheelv1.Source_SOURCE_DIAGNOSTICS
)

// Triggers of a request.
const (
	TriggerTyping     = flywheelv1.Trigger_TRIGGER_TYPING
	TriggerExplicit   = flywheelv1.Trigger_TRIGGER_EXPLICIT
	TriggerCursor     = flywheelv1.Trigger_TRIGGER_CURSOR
	TriggerAcceptance = flywheelv1.Trigger_TRIGGER_ACCEPTANCE
	TriggerDiagnostic = flywheelv1.Trigger_TRIGGER_DIAGNOSTIC
	TriggerMessage    = flywheelv1.Trigger_TRIGGER_MESSAGE
	TriggerAgent      = flywheelv1.Trigger_TRIGGER_AGENT
	TriggerEditor     = flywheelv1.Trigger_TRIGGER_EDITOR
)

// Kinds of interaction.
const (
	KindCompletion = flywheelv1.InteractionKind_INTERACTION_KIND_COMPLETION
	KindEdit       = flywheelv1.InteractionKind_INTERACTION_KIND_EDIT
	KindJump       = flywheelv1.InteractionKind_INTERACTION_KIND_JUMP
	KindAnswer     = flywheelv1.InteractionKind_INTERACTION_KIND_ANSWER
	KindPatch      = flywheelv1.InteractionKind_INTERACTION_KIND_PATCH
	KindToolCall   = flywheelv1.InteractionKind_INTERACTION_KIND_TOOL_CALL
	KindRename     = flywheelv1.InteractionKind_INTERACTION_KIND_RENAME
)

// Reasons for an opportunity without interaction.
const (
	NotProducedNoEdit    = flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_NO_EDIT
	NotProducedFiltered  = flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_FILTERED
	NotProducedFailed    = flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_FAILED
	NotProducedCancelled = flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_CANCELLED
	NotProducedLostRace  = flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_LOST_RACE
	NotProducedThrottled = flywheelv1.NotProducedReason_NOT_PRODUCED_REASON_THROTTLED
)
