package warehouse

import (
	"math"
	"strconv"

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
	columns := []*column[row]{
		newText("tenant", func(r *row) string { return r.Tenant }),
		newMillis("started_at", func(r *row) int64 { return MillisOf(r.ID) }),
		newID("interaction_id", func(r *row) uuid.UUID { return r.ID }),
		newID("opportunity_id", func(r *row) uuid.UUID { return r.OpportunityID }),
		newID("session_id", func(r *row) uuid.UUID { return r.SessionID }),
		newText("kind", func(r *row) string { return r.Kind }),
		newMicros("generated_at", func(r *row) int64 { return r.GeneratedAt }),
		newUint64("generated_sequence", func(r *row) uint64 { return r.GeneratedSequence }),
		newUint64("first_token_us", func(r *row) uint64 { return r.FirstTokenUs }),
		newUint64("latency_us", func(r *row) uint64 { return r.LatencyUs }),
		newUint32("prompt_tokens", func(r *row) uint32 { return r.PromptTokens }),
		newUint32("cached_tokens", func(r *row) uint32 { return r.CachedTokens }),
		newUint32("output_tokens", func(r *row) uint32 { return r.OutputTokens }),
		newUint32("output_chars", func(r *row) uint32 { return r.OutputChars }),
		newUint32("output_lines", func(r *row) uint32 { return r.OutputLines }),
		newNullable("mean_logprob", "Nullable(Float32)", 4, func(r *row) *float32 { return r.MeanLogprob }, math.Float32bits),
		newMicros("shown_at", func(r *row) int64 { return r.ShownAt }),
		newUint64("shown_sequence", func(r *row) uint64 { return r.ShownSequence }),
		newUint64("shown_latency_us", func(r *row) uint64 { return r.ShownLatencyUs }),
		newMicros("not_shown_at", func(r *row) int64 { return r.NotShownAt }),
		newText("not_shown_reason", func(r *row) string { return r.NotShownReason }),
		newUint64("visible_us", func(r *row) uint64 { return r.VisibleUs }),
		newUint64("outcome_rank", func(r *row) uint64 { return r.OutcomeRank }),
		newUint64("ended_sequence", func(r *row) uint64 { return r.EndedSequence }),
		newUint32("accepted_chars", func(r *row) uint32 { return r.AcceptedChars }),
		newUint32("accepted_lines", func(r *row) uint32 { return r.AcceptedLines }),
		newID("superseded_by", func(r *row) uuid.UUID { return r.SupersededBy }),
		newText("decided_by", func(r *row) string { return r.DecidedBy }),
		newText("outcome_detail", func(r *row) string { return r.OutcomeDetail }),
		newUint8("branch_changed", func(r *row) uint8 { return r.BranchChanged }),
		newUint64("thumb_rank", func(r *row) uint64 { return r.ThumbRank }),
		newUint64("rating_rank", func(r *row) uint64 { return r.RatingRank }),
		newUint32("task_results", func(r *row) uint32 { return r.TaskResults }),
		newMicros("alternative_at", func(r *row) int64 { return r.AlternativeAt }),
		newUint8("alternative_no_edit", func(r *row) uint8 { return r.AlternativeNoEdit }),
		newUint32("alternative_chars", func(r *row) uint32 { return r.AlternativeChars }),
	}
	for i, delay := range RetentionDelays() {
		suffix := strconv.Itoa(int(delay))
		columns = append(columns,
			newUint32("retained_chars_"+suffix, func(r *row) uint32 { return r.RetainedChars[i] }),
			newUint16("four_gram_"+suffix, func(r *row) uint16 { return r.FourGram[i] }))
	}
	columns = append(columns, dimensionColumns(func(r *row) *Dimensions { return &r.Dimensions })...)
	return &Interactions{columns: columns}
}

// dimensionColumns declares the columns of the dimensions inside a row.
func dimensionColumns[R any](of func(*R) *Dimensions) []*column[R] {
	return []*column[R]{
		newText("user", func(r *R) string { return of(r).User }),
		newText("repository", func(r *R) string { return of(r).Repository }),
		newText("surface", func(r *R) string { return of(r).Surface }),
		newText("model", func(r *R) string { return of(r).Model }),
		newText("variant", func(r *R) string { return of(r).Variant }),
		newText("experiment", func(r *R) string { return of(r).Experiment }),
		newText("language", func(r *R) string { return of(r).Language }),
		newText("client", func(r *R) string { return of(r).Client }),
		newText("client_version", func(r *R) string { return of(r).ClientVersion }),
		newText("client_setting", func(r *R) string { return of(r).ClientSetting }),
		newText("view_kind", func(r *R) string { return of(r).ViewKind }),
		newText("source", func(r *R) string { return of(r).Source }),
		newText("trigger", func(r *R) string { return of(r).Trigger }),
	}
}
