package warehouse

import (
	"time"

	"github.com/google/uuid"
)

// Step is a row of the table steps, whose migration says which kinds of step use
// which columns. Time is microseconds since the Unix epoch. session_started_at is
// taken from SessionID.
type Step struct {
	Tenant        string
	SessionID     uuid.UUID
	Sequence      uint64
	EventID       uuid.UUID
	Time          int64
	OpportunityID uuid.UUID
	InteractionID uuid.UUID
	Kind          string

	Document string
	Version  uint64
	Position uint64
	Head     uint64
	Language string

	Role   string
	Model  string
	Tokens uint32
	Chars  uint32

	CallID     string
	Tool       string
	ToolKind   string
	Decision   string
	DecidedBy  string
	Status     string
	DurationUs uint64
	ErrorType  string

	Thumb      string
	Rating     *uint8
	Author     string
	TaskResult string
	Detail     string

	Client          string
	ClientVersion   string
	User            string
	Repository      string
	Platform        string
	ParentSessionID uuid.UUID

	Consent   uint8
	Text      string
	Arguments string
	UserText  string
	Comment   string
}

// Steps is rows of the table steps.
type Steps = Table[Step]

// NewSteps returns an empty table.
func NewSteps() *Steps {
	type row = Step
	return &Steps{columns: []column[row]{
		newColumn("tenant", func(r *row) string { return r.Tenant }),
		newColumn("session_started_at", func(r *row) time.Time { return TimeOf(r.SessionID) }),
		newColumn("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newColumn("sequence", func(r *row) uint64 { return r.Sequence }),
		newColumn("event_id", func(r *row) uuid.UUID { return r.EventID }),
		newColumn("time", func(r *row) time.Time { return microTime(r.Time) }),
		newColumn("opportunity_id", func(r *row) uuid.UUID { return r.OpportunityID }),
		newColumn("interaction_id", func(r *row) uuid.UUID { return r.InteractionID }),
		newColumn("kind", func(r *row) string { return r.Kind }),
		newColumn("document", func(r *row) string { return r.Document }),
		newColumn("version", func(r *row) uint64 { return r.Version }),
		newColumn("position", func(r *row) uint64 { return r.Position }),
		newColumn("head", func(r *row) uint64 { return r.Head }),
		newColumn("language", func(r *row) string { return r.Language }),
		newColumn("role", func(r *row) string { return r.Role }),
		newColumn("model", func(r *row) string { return r.Model }),
		newColumn("tokens", func(r *row) uint32 { return r.Tokens }),
		newColumn("chars", func(r *row) uint32 { return r.Chars }),
		newColumn("call_id", func(r *row) string { return r.CallID }),
		newColumn("tool", func(r *row) string { return r.Tool }),
		newColumn("tool_kind", func(r *row) string { return r.ToolKind }),
		newColumn("decision", func(r *row) string { return r.Decision }),
		newColumn("decided_by", func(r *row) string { return r.DecidedBy }),
		newColumn("status", func(r *row) string { return r.Status }),
		newColumn("duration_us", func(r *row) uint64 { return r.DurationUs }),
		newColumn("error_type", func(r *row) string { return r.ErrorType }),
		newColumn("thumb", func(r *row) string { return r.Thumb }),
		newColumn("rating", func(r *row) *uint8 { return r.Rating }),
		newColumn("author", func(r *row) string { return r.Author }),
		newColumn("task_result", func(r *row) string { return r.TaskResult }),
		newColumn("detail", func(r *row) string { return r.Detail }),
		newColumn("client", func(r *row) string { return r.Client }),
		newColumn("client_version", func(r *row) string { return r.ClientVersion }),
		newColumn("user", func(r *row) string { return r.User }),
		newColumn("repository", func(r *row) string { return r.Repository }),
		newColumn("platform", func(r *row) string { return r.Platform }),
		newColumn("parent_session_id", func(r *row) uuid.UUID { return r.ParentSessionID }),
		newColumn("consent", func(r *row) uint8 { return r.Consent }),
		newColumn("text", func(r *row) string { return r.Text }),
		newColumn("arguments", func(r *row) string { return r.Arguments }),
		newColumn("user_text", func(r *row) string { return r.UserText }),
		newColumn("comment", func(r *row) string { return r.Comment }),
	}}
}
