package warehouse

import "github.com/google/uuid"

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
	return &Content{columns: []*column[row]{
		newText("tenant", func(r *row) string { return r.Tenant }),
		newMillis("started_at", func(r *row) int64 { return MillisOf(r.ID) }),
		newID("id", func(r *row) uuid.UUID { return r.ID }),
		newUint8("consents", func(r *row) uint8 { return r.Consents }),
		newText("prompt", func(r *row) string { return r.Prompt }),
		newText("output", func(r *row) string { return r.Output }),
		newText("final_text", func(r *row) string { return r.FinalText }),
		newText("alternative", func(r *row) string { return r.Alternative }),
		newText("correction", func(r *row) string { return r.Correction }),
		newText("comment", func(r *row) string { return r.Comment }),
	}}
}
