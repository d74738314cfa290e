package warehouse

import "github.com/google/uuid"

// Opportunity is a row, whole or partial, of the table opportunities. Times are
// microseconds since the Unix epoch, 0 for none. started_at is taken from ID.
type Opportunity struct {
	Tenant    string
	ID        uuid.UUID
	SessionID uuid.UUID
	Dimensions

	RequestedAt          int64
	RequestedSequence    uint64
	NotProducedAt        int64
	NotProducedReason    string
	NotProducedDetail    string
	NotProducedLatencyUs uint64
}

// Opportunities is rows of the table opportunities.
type Opportunities = Table[Opportunity]

// NewOpportunities returns an empty table.
func NewOpportunities() *Opportunities {
	type row = Opportunity
	columns := []*column[row]{
		newText("tenant", func(r *row) string { return r.Tenant }),
		newMillis("started_at", func(r *row) int64 { return MillisOf(r.ID) }),
		newID("opportunity_id", func(r *row) uuid.UUID { return r.ID }),
		newID("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newMicros("requested_at", func(r *row) int64 { return r.RequestedAt }),
		newUint64("requested_sequence", func(r *row) uint64 { return r.RequestedSequence }),
		newMicros("not_produced_at", func(r *row) int64 { return r.NotProducedAt }),
		newText("not_produced_reason", func(r *row) string { return r.NotProducedReason }),
		newText("not_produced_detail", func(r *row) string { return r.NotProducedDetail }),
		newUint64("not_produced_latency_us", func(r *row) uint64 { return r.NotProducedLatencyUs }),
	}
	columns = append(columns, dimensionColumns(func(r *row) *Dimensions { return &r.Dimensions })...)
	return &Opportunities{columns: columns}
}
