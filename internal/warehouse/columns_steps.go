package warehouse

import "github.com/google/uuid"

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
	return &Steps{columns: []*column[row]{
		newText("tenant", func(r *row) string { return r.Tenant }),
		newMillis("session_started_at", func(r *row) int64 { return MillisOf(r.SessionID) }),
		newID("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newUint64("sequence", func(r *row) uint64 { return r.Sequence }),
		newID("event_id", func(r *row) uuid.UUID { return r.EventID }),
		newMicros("time", func(r *row) int64 { return r.Time }),
		newID("opportunity_id", func(r *row) uuid.UUID { return r.OpportunityID }),
		newID("interaction_id", func(r *row) uuid.UUID { return r.InteractionID }),
		newText("kind", func(r *row) string { return r.Kind }),
		newText("document", func(r *row) string { return r.Document }),
		newUint64("version", func(r *row) uint64 { return r.Version }),
		newUint64("position", func(r *row) uint64 { return r.Position }),
		newUint64("head", func(r *row) uint64 { return r.Head }),
		newText("language", func(r *row) string { return r.Language }),
		newText("role", func(r *row) string { return r.Role }),
		newText("model", func(r *row) string { return r.Model }),
		newUint32("tokens", func(r *row) uint32 { return r.Tokens }),
		newUint32("chars", func(r *row) uint32 { return r.Chars }),
		newText("call_id", func(r *row) string { return r.CallID }),
		newText("tool", func(r *row) string { return r.Tool }),
		newText("tool_kind", func(r *row) string { return r.ToolKind }),
		newText("decision", func(r *row) string { return r.Decision }),
		newText("decided_by", func(r *row) string { return r.DecidedBy }),
		newText("status", func(r *row) string { return r.Status }),
		newUint64("duration_us", func(r *row) uint64 { return r.DurationUs }),
		newText("error_type", func(r *row) string { return r.ErrorType }),
		newText("thumb", func(r *row) string { return r.Thumb }),
		newNullable("rating", "Nullable(UInt8)", 1, func(r *row) *uint8 { return r.Rating }, func(rating uint8) uint32 { return uint32(rating) }),
		newText("author", func(r *row) string { return r.Author }),
		newText("task_result", func(r *row) string { return r.TaskResult }),
		newText("detail", func(r *row) string { return r.Detail }),
		newText("client", func(r *row) string { return r.Client }),
		newText("client_version", func(r *row) string { return r.ClientVersion }),
		newText("user", func(r *row) string { return r.User }),
		newText("repository", func(r *row) string { return r.Repository }),
		newText("platform", func(r *row) string { return r.Platform }),
		newID("parent_session_id", func(r *row) uuid.UUID { return r.ParentSessionID }),
		newUint8("consent", func(r *row) uint8 { return r.Consent }),
		newText("text", func(r *row) string { return r.Text }),
		newText("arguments", func(r *row) string { return r.Arguments }),
		newText("user_text", func(r *row) string { return r.UserText }),
		newText("comment", func(r *row) string { return r.Comment }),
	}}
}
