package warehouse

import "time"

// Touch is a row of the table bucket_touches: rows of this minute were inserted.
type Touch struct {
	Tenant    string
	Bucket    time.Time
	Touches   uint64
	TouchedAt time.Time
}

// Touches is rows of the table bucket_touches.
type Touches = Table[Touch]

// NewTouches returns an empty table.
func NewTouches() *Touches {
	type row = Touch
	return &Touches{columns: []column[row]{
		newColumn("tenant", func(r *row) string { return r.Tenant }),
		newColumn("bucket", func(r *row) time.Time { return r.Bucket }),
		newColumn("touches", func(r *row) uint64 { return r.Touches }),
		newColumn("touched_at", func(r *row) time.Time { return r.TouchedAt }),
	}}
}
