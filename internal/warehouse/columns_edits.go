package warehouse

import (
	"time"

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
	return &Edits{columns: []column[row]{
		newColumn("tenant", func(r *row) string { return r.Tenant }),
		newColumn("session_started_at", func(r *row) time.Time { return TimeOf(r.SessionID) }),
		newColumn("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newColumn("sequence", func(r *row) uint64 { return r.Sequence }),
		newColumn("event_id", func(r *row) uuid.UUID { return r.EventID }),
		newColumn("time", func(r *row) time.Time { return microTime(r.Time) }),
		newColumn("interaction_id", func(r *row) uuid.UUID { return r.InteractionID }),
		newColumn("document", func(r *row) string { return r.Document }),
		newColumn("version", func(r *row) uint64 { return r.Version }),
		newColumn("offset", func(r *row) uint64 { return r.Offset }),
		newColumn("removed_length", func(r *row) uint64 { return r.RemovedLength }),
		newColumn("inserted_length", func(r *row) uint64 { return r.InsertedLength }),
		newColumn("source", func(r *row) int8 { return r.Source }),
		newColumn("consent", func(r *row) uint8 { return r.Consent }),
		newColumn("text", func(r *row) string { return r.Text }),
	}}
}
