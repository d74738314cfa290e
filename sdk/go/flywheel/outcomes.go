package flywheel

import flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"

// Reasons for withholding an output.
const (
	NotShownFiltered           = flywheelv1.NotShownReason_NOT_SHOWN_REASON_FILTERED
	NotShownStale              = flywheelv1.NotShownReason_NOT_SHOWN_REASON_STALE
	NotShownNotApplicable      = flywheelv1.NotShownReason_NOT_SHOWN_REASON_NOT_APPLICABLE
	NotShownEmpty              = flywheelv1.NotShownReason_NOT_SHOWN_REASON_EMPTY
	NotShownPreviouslyRejected = flywheelv1.NotShownReason_NOT_SHOWN_REASON_PREVIOUSLY_REJECTED
	NotShownLostRace           = flywheelv1.NotShownReason_NOT_SHOWN_REASON_LOST_RACE
	NotShownCancelled          = flywheelv1.NotShownReason_NOT_SHOWN_REASON_CANCELLED
)

// Terminal outcomes. [Interaction] has a method for each.
const (
	OutcomeAccepted          = flywheelv1.Outcome_OUTCOME_ACCEPTED
	OutcomePartiallyAccepted = flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED
	OutcomeAcceptedModified  = flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED
	OutcomeAutoAccepted      = flywheelv1.Outcome_OUTCOME_AUTO_ACCEPTED
	OutcomeRejected          = flywheelv1.Outcome_OUTCOME_REJECTED
	OutcomeIgnored           = flywheelv1.Outcome_OUTCOME_IGNORED
	OutcomeSuperseded        = flywheelv1.Outcome_OUTCOME_SUPERSEDED
	OutcomeCancelled         = flywheelv1.Outcome_OUTCOME_CANCELLED
)

// Who or what decides.
const (
	DecidedByUser          = flywheelv1.DecisionSource_DECISION_SOURCE_USER
	DecidedByUserSession   = flywheelv1.DecisionSource_DECISION_SOURCE_USER_SESSION
	DecidedByUserPermanent = flywheelv1.DecisionSource_DECISION_SOURCE_USER_PERMANENT
	DecidedByConfig        = flywheelv1.DecisionSource_DECISION_SOURCE_CONFIG
	DecidedByHook          = flywheelv1.DecisionSource_DECISION_SOURCE_HOOK
)

// Thumbs.
const (
	ThumbUp   = flywheelv1.Thumb_THUMB_UP
	ThumbDown = flywheelv1.Thumb_THUMB_DOWN
)

// Results of a task.
const (
	TaskTestsPassed = flywheelv1.TaskResult_TASK_RESULT_TESTS_PASSED
	TaskTestsFailed = flywheelv1.TaskResult_TASK_RESULT_TESTS_FAILED
	TaskBuildPassed = flywheelv1.TaskResult_TASK_RESULT_BUILD_PASSED
	TaskBuildFailed = flywheelv1.TaskResult_TASK_RESULT_BUILD_FAILED
	TaskCommitted   = flywheelv1.TaskResult_TASK_RESULT_COMMITTED
	TaskMerged      = flywheelv1.TaskResult_TASK_RESULT_MERGED
	TaskReverted    = flywheelv1.TaskResult_TASK_RESULT_REVERTED
	TaskSolved      = flywheelv1.TaskResult_TASK_RESULT_SOLVED
	TaskNotSolved   = flywheelv1.TaskResult_TASK_RESULT_NOT_SOLVED
)

// Sources of an edit.
const (
	EditByUser        = flywheelv1.EditSource_EDIT_SOURCE_USER
	EditByPaste       = flywheelv1.EditSource_EDIT_SOURCE_PASTE
	EditByInteraction = flywheelv1.EditSource_EDIT_SOURCE_INTERACTION
	EditByOtherAI     = flywheelv1.EditSource_EDIT_SOURCE_OTHER_AI
	EditByEditor      = flywheelv1.EditSource_EDIT_SOURCE_EDITOR
	EditByUndo        = flywheelv1.EditSource_EDIT_SOURCE_UNDO
	EditByExternal    = flywheelv1.EditSource_EDIT_SOURCE_EXTERNAL
)

// Roles in a conversation.
const (
	RoleSystem    = flywheelv1.Role_ROLE_SYSTEM
	RoleUser      = flywheelv1.Role_ROLE_USER
	RoleAssistant = flywheelv1.Role_ROLE_ASSISTANT
	RoleTool      = flywheelv1.Role_ROLE_TOOL
)

// Decisions about a tool call.
const (
	ToolApproved = flywheelv1.ToolDecision_TOOL_DECISION_APPROVED
	ToolDenied   = flywheelv1.ToolDecision_TOOL_DECISION_DENIED
	ToolAuto     = flywheelv1.ToolDecision_TOOL_DECISION_AUTO
	ToolModified = flywheelv1.ToolDecision_TOOL_DECISION_MODIFIED
	ToolAborted  = flywheelv1.ToolDecision_TOOL_DECISION_ABORTED
)

// Ends of a tool call.
const (
	ToolSuccess   = flywheelv1.ToolStatus_TOOL_STATUS_SUCCESS
	ToolError     = flywheelv1.ToolStatus_TOOL_STATUS_ERROR
	ToolCancelled = flywheelv1.ToolStatus_TOOL_STATUS_CANCELLED
)

// What text may be used for.
const (
	// ConsentDiagnostics: for looking into problems, not for training.
	ConsentDiagnostics = flywheelv1.Consent_CONSENT_DIAGNOSTICS
	// ConsentTraining: for training as well.
	ConsentTraining = flywheelv1.Consent_CONSENT_TRAINING
)
