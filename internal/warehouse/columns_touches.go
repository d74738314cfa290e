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
	return &Touches{columns: []*column[row]{
		newText("tenant", func(r *row) string { return r.Tenant }),
		newNumber("bucket", "DateTime('UTC')", 4, func(r *row) int64 { return r.Bucket.Unix() }),
		newUint64("touches", func(r *row) uint64 { return r.Touches }),
		newMillis("touched_at", func(r *row) int64 { return r.TouchedAt.UnixMilli() }),
	}}
}
