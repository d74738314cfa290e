package warehouse

import (
	"time"

	"github.com/google/uuid"
)

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
	columns := []column[row]{
		newColumn("tenant", func(r *row) string { return r.Tenant }),
		newColumn("started_at", func(r *row) time.Time { return TimeOf(r.ID) }),
		newColumn("opportunity_id", func(r *row) uuid.UUID { return r.ID }),
		newColumn("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newColumn("requested_at", func(r *row) time.Time { return microTime(r.RequestedAt) }),
		newColumn("requested_sequence", func(r *row) uint64 { return r.RequestedSequence }),
		newColumn("not_produced_at", func(r *row) time.Time { return microTime(r.NotProducedAt) }),
		newColumn("not_produced_reason", func(r *row) string { return r.NotProducedReason }),
		newColumn("not_produced_detail", func(r *row) string { return r.NotProducedDetail }),
		newColumn("not_produced_latency_us", func(r *row) uint64 { return r.NotProducedLatencyUs }),
	}
	columns = append(columns, dimensionColumns(func(r *row) *Dimensions { return &r.Dimensions })...)
	return &Opportunities{columns: columns}
}
