package signal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
	"github.com/yirifi/flywheel/registry"
)

// definitions are the default one, and one of other weights.
func definitions() []signal.Definition {
	second := signal.DefaultDefinition()
	second.Version, second.Name, second.Notes = 2, "test", ""
	second.Window, second.MinReject, second.FastReject = time.Minute, 300*time.Millisecond, 0
	second.Weights.PartiallyAccepted, second.Weights.Rejected, second.Weights.Rating = 7777, -5, -1234
	second.Weights.Delays = [7]uint32{5, 0, 0, 0, 0, 3, 0}
	return []signal.Definition{signal.DefaultDefinition(), second}
}

// signalRow is what training_signals says about an interaction.
type signalRow struct {
	Definition    uint32    `ch:"definition"`
	InteractionID uuid.UUID `ch:"interaction_id"`
	Label         string    `ch:"label"`
	Outcome       int64     `ch:"outcome_part"`
	Retention     int64     `ch:"retention_part"`
	Kept          int64     `ch:"kept_part"`
	Feedback      int64     `ch:"feedback_part"`
	Task          int64     `ch:"task_part"`
	Total         int64     `ch:"reward_e4"`
	Reward        float64   `ch:"reward"`
	SettlesAt     time.Time `ch:"settles_at"`
}

func (s *store) signals(t *testing.T, tenant string) []signalRow {
	t.Helper()
	var rows []signalRow
	err := s.db.Conn().Select(t.Context(), &rows, `
		SELECT definition, interaction_id, toString(label) AS label, outcome_part, retention_part, kept_part, feedback_part,
			task_part, reward_e4, reward, settles_at
		FROM training_signals WHERE tenant = ? ORDER BY definition, interaction_id`, tenant)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestDefinitionIsTheSameInSQL compares labels and rewards of random interactions.
func TestDefinitionIsTheSameInSQL(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if err := registry.AddDefinition(t.Context(), s.db, definitions()[1]); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	rows := map[uuid.UUID]*warehouse.Interaction{}
	table := warehouse.NewInteractions()
	for range 5000 {
		row := randomInteraction(t, random)
		rows[row.ID] = row
		table.Append([]warehouse.Interaction{*row})
	}
	if err := s.db.Insert(t.Context(), "interactions", table); err != nil {
		t.Fatal(err)
	}
	signals := s.signals(t, "t")
	if len(signals) != 2*len(rows) {
		t.Fatalf("%d signals of %d interactions", len(signals), len(rows))
	}
	for _, got := range signals {
		row := rows[got.InteractionID]
		d := definitions()[got.Definition-1]
		if diff := cmp.Diff(signalOf(&d, row), got); diff != "" {
			t.Fatalf("definition %d, %+v (-Go +SQL):\n%s", d.Version, row, diff)
		}
	}
}

// signalOf computes the signal of a merged interaction in Go.
func signalOf(d *signal.Definition, row *warehouse.Interaction) signalRow {
	reward := d.Reward(row)
	return signalRow{
		Definition: d.Version, InteractionID: row.ID, Label: label(d.Label(row)),
		Outcome: reward.Outcome, Retention: reward.Retention, Kept: reward.Kept, Feedback: reward.Feedback, Task: reward.Task,
		Total: reward.Total, Reward: float64(reward.Total) / 10000, SettlesAt: warehouse.TimeOf(row.ID).Add(d.Window).UTC(),
	}
}

// label is an outcome as training_signals names it.
func label(o flywheelv1.Outcome) string {
	if o == flywheelv1.Outcome_OUTCOME_UNSPECIFIED {
		return "undecided"
	}
	return name(o)
}

func randomInteraction(t *testing.T, random *rand.Rand) *warehouse.Interaction {
	row := &warehouse.Interaction{Tenant: "t", ID: uuid.UUID(newID(t))}
	some := func(n uint64) uint64 { return random.Uint64N(n) * random.Uint64N(2) }
	row.OutcomeRank = random.Uint64N(9)
	row.VisibleUs = some(4_000_000)
	row.OutputChars = uint32(some(400))
	row.AcceptedChars = uint32(some(500))
	for i := range row.RetainedChars {
		row.RetainedChars[i] = uint32(some(300))
	}
	row.BranchChanged = uint8(some(128) * some(2))
	row.ThumbRank = random.Uint64N(3)
	row.RatingRank = some(102)
	row.TaskResults = uint32(some(1<<9)) << 1
	return row
}

// TestDefaultDefinition is what the migration stores under version 1.
func TestDefaultDefinition(t *testing.T) {
	t.Parallel()
	stored, err := registry.Definitions(t.Context(), openStore(t).db)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]signal.Definition{signal.DefaultDefinition()}, stored, cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".CreatedAt"
	}, cmp.Ignore())); diff != "" {
		t.Errorf("the table definitions (-Go +migration):\n%s", diff)
	}
}

// TestRewards gives what a person would think of each case.
func TestRewards(t *testing.T) {
	t.Parallel()
	d := signal.DefaultDefinition()
	accepted := warehouse.Interaction{OutcomeRank: 1, OutputChars: 40, AcceptedChars: 40}
	kept := accepted
	kept.RetainedChars = [7]uint32{41, 41, 41, 41, 41, 41, 41}
	removed := kept
	removed.RetainedChars = [7]uint32{41, 1, 1, 1, 1, 1, 1}
	half := warehouse.Interaction{OutcomeRank: 2, OutputChars: 40, AcceptedChars: 20}
	slow := warehouse.Interaction{OutcomeRank: 5, VisibleUs: 5_000_000}
	fast := warehouse.Interaction{OutcomeRank: 5, VisibleUs: 200_000}
	liked := kept
	liked.ThumbRank, liked.RatingRank, liked.TaskResults = 1, 101, 1<<1|1<<8
	hated := fast
	hated.ThumbRank, hated.RatingRank, hated.TaskResults = 2, 1, 1<<2|1<<9
	for _, tt := range []struct {
		what string
		row  warehouse.Interaction
		want int64
	}{
		{"undecided", warehouse.Interaction{}, 0},
		{"ignored", warehouse.Interaction{OutcomeRank: 6}, 0},
		{"superseded", warehouse.Interaction{OutcomeRank: 7}, 0},
		{"auto accepted", warehouse.Interaction{OutcomeRank: 4, OutputChars: 9, AcceptedChars: 9, RetainedChars: [7]uint32{10, 10}}, 0},
		{"accepted, retention not measured", accepted, 3000},
		{"accepted and kept", kept, 9000},
		{"accepted and removed", removed, -1000},
		{"half accepted", half, 1500},
		{"rejected after thought", slow, -4000},
		{"rejected at once", fast, -6700},
		{"best", liked, 10000},
		{"worst", hated, -10000},
	} {
		if got := d.Reward(&tt.row); got.Total != tt.want {
			t.Errorf("%s: reward %d, want %d (%s)", tt.what, got.Total, tt.want, fmt.Sprintf("%+v", got))
		}
	}
}
