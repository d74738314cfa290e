package warehouse

import (
	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
)

// Edit is a row of the table edits. Time is microseconds since the Unix epoch.
// session_started_at is taken from SessionID.
type Edit struct {
	Tenant         string
	SessionID      uuid.UUID
	Sequence       uint64
	EventID        uuid.UUID
	Time           int64
	InteractionID  uuid.UUID
	Document       string
	Version        uint64
	Offset         uint64
	RemovedLength  uint64
	InsertedLength uint64
	// Source is a number of the column's Enum8, which are those of EditSource.
	Source  int8
	Consent uint8
	Text    string
}

// Edits is rows of the table edits.
type Edits = Table[Edit]

// NewEdits returns an empty table.
func NewEdits() *Edits {
	type row = Edit
	return &Edits{columns: []*column[row]{
		newText("tenant", func(r *row) string { return r.Tenant }),
		newMillis("session_started_at", func(r *row) int64 { return MillisOf(r.SessionID) }),
		newID("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newUint64("sequence", func(r *row) uint64 { return r.Sequence }),
		newID("event_id", func(r *row) uuid.UUID { return r.EventID }),
		newMicros("time", func(r *row) int64 { return r.Time }),
		newID("interaction_id", func(r *row) uuid.UUID { return r.InteractionID }),
		newText("document", func(r *row) string { return r.Document }),
		newUint64("version", func(r *row) uint64 { return r.Version }),
		newUint64("offset", func(r *row) uint64 { return r.Offset }),
		newUint64("removed_length", func(r *row) uint64 { return r.RemovedLength }),
		newUint64("inserted_length", func(r *row) uint64 { return r.InsertedLength }),
		newNumber("source", proto.ColumnTypeInt8, 1, func(r *row) int8 { return r.Source }),
		newUint8("consent", func(r *row) uint8 { return r.Consent }),
		newText("text", func(r *row) string { return r.Text }),
	}}
}
