package warehouse

import (
	"time"

	"github.com/google/uuid"
)

// Text is a row, whole or partial, of the table content. started_at is taken from ID.
type Text struct {
	Tenant      string
	ID          uuid.UUID
	Consents    uint8
	Prompt      string
	Output      string
	FinalText   string
	Alternative string
	Correction  string
	Comment     string
}

// Content is rows of the table content.
type Content = Table[Text]

// NewContent returns an empty table.
func NewContent() *Content {
	type row = Text
	return &Content{columns: []column[row]{
		newColumn("tenant", func(r *row) string { return r.Tenant }),
		newColumn("started_at", func(r *row) time.Time { return TimeOf(r.ID) }),
		newColumn("id", func(r *row) uuid.UUID { return r.ID }),
		newColumn("consents", func(r *row) uint8 { return r.Consents }),
		newColumn("prompt", func(r *row) string { return r.Prompt }),
		newColumn("output", func(r *row) string { return r.Output }),
		newColumn("final_text", func(r *row) string { return r.FinalText }),
		newColumn("alternative", func(r *row) string { return r.Alternative }),
		newColumn("correction", func(r *row) string { return r.Correction }),
		newColumn("comment", func(r *row) string { return r.Comment }),
	}}
}
