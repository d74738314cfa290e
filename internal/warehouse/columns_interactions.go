package warehouse

import (
	"strconv"
	"time"

	"github.com/google/uuid"
)

// RetentionDelays are the seconds after an acceptance at which retention is kept, in
// the order of [Interaction]'s arrays.
func RetentionDelays() [7]uint32 { return [...]uint32{0, 5, 30, 120, 300, 600, 900} }

// Dimensions are the columns that interactions and opportunities are grouped and
// split by.
type Dimensions struct {
	User, Repository                              string
	Surface, Model, Variant, Experiment, Language string
	Client, ClientVersion, ClientSetting          string
	ViewKind, Source, Trigger                     string
}

// Interaction is a row, whole or partial, of the table interactions, whose migration
// says what each column means. Times are microseconds since the Unix epoch, 0 for
// none. started_at is taken from ID.
type Interaction struct {
	Tenant        string
	ID            uuid.UUID
	OpportunityID uuid.UUID
	SessionID     uuid.UUID
	Dimensions

	Kind        string
	GeneratedAt int64
	// GeneratedSequence, ShownSequence and EndedSequence are Event.sequence.
	GeneratedSequence uint64
	FirstTokenUs      uint64
	LatencyUs         uint64
	PromptTokens      uint32
	CachedTokens      uint32
	OutputTokens      uint32
	OutputChars       uint32
	OutputLines       uint32
	MeanLogprob       *float32

	ShownAt        int64
	ShownSequence  uint64
	ShownLatencyUs uint64
	NotShownAt     int64
	NotShownReason string
	VisibleUs      uint64

	OutcomeRank   uint64
	EndedSequence uint64
	AcceptedChars uint32
	AcceptedLines uint32
	SupersededBy  uuid.UUID
	DecidedBy     string
	OutcomeDetail string

	RetainedChars [7]uint32
	FourGram      [7]uint16
	BranchChanged uint8

	ThumbRank   uint64
	RatingRank  uint64
	TaskResults uint32

	AlternativeAt     int64
	AlternativeNoEdit uint8
	AlternativeChars  uint32
}

// Interactions is rows of the table interactions.
type Interactions = Table[Interaction]

// NewInteractions returns an empty table.
func NewInteractions() *Interactions {
	type row = Interaction
	columns := []column[row]{
		newColumn("tenant", func(r *row) string { return r.Tenant }),
		newColumn("started_at", func(r *row) time.Time { return TimeOf(r.ID) }),
		newColumn("interaction_id", func(r *row) uuid.UUID { return r.ID }),
		newColumn("opportunity_id", func(r *row) uuid.UUID { return r.OpportunityID }),
		newColumn("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newColumn("kind", func(r *row) string { return r.Kind }),
		newColumn("generated_at", func(r *row) time.Time { return microTime(r.GeneratedAt) }),
		newColumn("generated_sequence", func(r *row) uint64 { return r.GeneratedSequence }),
		newColumn("first_token_us", func(r *row) uint64 { return r.FirstTokenUs }),
		newColumn("latency_us", func(r *row) uint64 { return r.LatencyUs }),
		newColumn("prompt_tokens", func(r *row) uint32 { return r.PromptTokens }),
		newColumn("cached_tokens", func(r *row) uint32 { return r.CachedTokens }),
		newColumn("output_tokens", func(r *row) uint32 { return r.OutputTokens }),
		newColumn("output_chars", func(r *row) uint32 { return r.OutputChars }),
		newColumn("output_lines", func(r *row) uint32 { return r.OutputLines }),
		newColumn("mean_logprob", func(r *row) *float32 { return r.MeanLogprob }),
		newColumn("shown_at", func(r *row) time.Time { return microTime(r.ShownAt) }),
		newColumn("shown_sequence", func(r *row) uint64 { return r.ShownSequence }),
		newColumn("shown_latency_us", func(r *row) uint64 { return r.ShownLatencyUs }),
		newColumn("not_shown_at", func(r *row) time.Time { return microTime(r.NotShownAt) }),
		newColumn("not_shown_reason", func(r *row) string { return r.NotShownReason }),
		newColumn("visible_us", func(r *row) uint64 { return r.VisibleUs }),
		newColumn("outcome_rank", func(r *row) uint64 { return r.OutcomeRank }),
		newColumn("ended_sequence", func(r *row) uint64 { return r.EndedSequence }),
		newColumn("accepted_chars", func(r *row) uint32 { return r.AcceptedChars }),
		newColumn("accepted_lines", func(r *row) uint32 { return r.AcceptedLines }),
		newColumn("superseded_by", func(r *row) uuid.UUID { return r.SupersededBy }),
		newColumn("decided_by", func(r *row) string { return r.DecidedBy }),
		newColumn("outcome_detail", func(r *row) string { return r.OutcomeDetail }),
		newColumn("branch_changed", func(r *row) uint8 { return r.BranchChanged }),
		newColumn("thumb_rank", func(r *row) uint64 { return r.ThumbRank }),
		newColumn("rating_rank", func(r *row) uint64 { return r.RatingRank }),
		newColumn("task_results", func(r *row) uint32 { return r.TaskResults }),
		newColumn("alternative_at", func(r *row) time.Time { return microTime(r.AlternativeAt) }),
		newColumn("alternative_no_edit", func(r *row) uint8 { return r.AlternativeNoEdit }),
		newColumn("alternative_chars", func(r *row) uint32 { return r.AlternativeChars }),
	}
	for i, delay := range RetentionDelays() {
		suffix := strconv.Itoa(int(delay))
		columns = append(columns,
			newColumn("retained_chars_"+suffix, func(r *row) uint32 { return r.RetainedChars[i] }),
			newColumn("four_gram_"+suffix, func(r *row) uint16 { return r.FourGram[i] }))
	}
	columns = append(columns, dimensionColumns(func(r *row) *Dimensions { return &r.Dimensions })...)
	return &Interactions{columns: columns}
}

// dimensionColumns declares the columns of the dimensions inside a row.
func dimensionColumns[R any](of func(*R) *Dimensions) []column[R] {
	return []column[R]{
		newColumn("user", func(r *R) string { return of(r).User }),
		newColumn("repository", func(r *R) string { return of(r).Repository }),
		newColumn("surface", func(r *R) string { return of(r).Surface }),
		newColumn("model", func(r *R) string { return of(r).Model }),
		newColumn("variant", func(r *R) string { return of(r).Variant }),
		newColumn("experiment", func(r *R) string { return of(r).Experiment }),
		newColumn("language", func(r *R) string { return of(r).Language }),
		newColumn("client", func(r *R) string { return of(r).Client }),
		newColumn("client_version", func(r *R) string { return of(r).ClientVersion }),
		newColumn("client_setting", func(r *R) string { return of(r).ClientSetting }),
		newColumn("view_kind", func(r *R) string { return of(r).ViewKind }),
		newColumn("source", func(r *R) string { return of(r).Source }),
		newColumn("trigger", func(r *R) string { return of(r).Trigger }),
	}
}
