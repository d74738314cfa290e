package replay

import (
	"slices"
	"strings"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// minRead is how long a suggestion must be visible to be tallied as read; the
// settler's default.
const minRead = 750 * time.Millisecond

// Tally is what the replay itself counted from its own decisions, with no help from
// the SDK or a server: what every report must agree with.
type Tally struct {
	// Seed, Source and BaseTime are what the events follow from; all virtual times
	// lie in [BaseTime, EndTime).
	Seed     uint64    `json:"seed"`
	Source   string    `json:"source"`
	BaseTime time.Time `json:"base_time"`
	EndTime  time.Time `json:"end_time"`
	// Files is how many documents were retyped, in whole or in part; TrainingFiles
	// on how many others the models were trained.
	Files         int `json:"files"`
	TrainingFiles int `json:"training_files"`
	Sessions      int `json:"sessions"`
	Users         int `json:"users"`
	// Interrupted: the replay was stopped early; the tally holds what was done. The
	// events of the last moments may not have been acknowledged.
	Interrupted bool `json:"interrupted"`
	// Models holds one tally per model, by name, and Total all of them.
	Models []ModelTally `json:"models"`
	Total  Counts       `json:"total"`
	// Events counts the events by the name of their payload; EventsTotal adds up.
	Events      map[string]uint64 `json:"events"`
	EventsTotal uint64            `json:"events_total"`
	// Delivery is what became of the events on their way to the collector.
	Delivery Delivery `json:"delivery"`
}

// Delivery counts events on their way, copies counted each.
type Delivery struct {
	// Accepted were acknowledged by the collector. Rejected were refused by it, and
	// Dropped never reached it: both must be 0 in a replay that counts.
	Accepted uint64 `json:"accepted"`
	Rejected uint64 `json:"rejected"`
	Dropped  uint64 `json:"dropped"`
	// Retries counts batches that were sent again.
	Retries uint64 `json:"retries"`
}

func (d *Delivery) add(stats flywheel.Stats) {
	d.Accepted += stats.Accepted
	d.Rejected += stats.Rejected
	d.Dropped += stats.Dropped
	d.Retries += stats.Retries
}

// ModelTally is the tally of one model.
type ModelTally struct {
	// Model is its name as in the events' dimensions.
	Model string `json:"model"`
	Counts
}

// Counts are what happened to opportunities and interactions. The names are those
// of the Counts in the feedback contract; Suggestions are the outputs the model
// produced, shown or not.
type Counts struct {
	Opportunities     uint64 `json:"opportunities"`
	NotProduced       uint64 `json:"not_produced"`
	Suggestions       uint64 `json:"suggestions"`
	Shown             uint64 `json:"shown"`
	NotShown          uint64 `json:"not_shown"`
	Read              uint64 `json:"read"`
	Accepted          uint64 `json:"accepted"`
	PartiallyAccepted uint64 `json:"partially_accepted"`
	AcceptedModified  uint64 `json:"accepted_modified"`
	Rejected          uint64 `json:"rejected"`
	Ignored           uint64 `json:"ignored"`
	Superseded        uint64 `json:"superseded"`
	Cancelled         uint64 `json:"cancelled"`
	Undecided         uint64 `json:"undecided"`
	ShownChars        uint64 `json:"shown_chars"`
	AcceptedChars     uint64 `json:"accepted_chars"`
	// Committed counts shown interactions whose document was finished as the author
	// committed it.
	Committed uint64 `json:"committed"`
	// Retention holds one element per delay, in the order of [Delays].
	Retention [7]RetentionCount `json:"retention"`
}

// RetentionCount is what was measured at one delay after acceptance.
type RetentionCount struct {
	DelaySeconds uint32 `json:"delay_s"`
	Interactions uint64 `json:"interactions"`
	// RetainedChars is the sum at this delay, BaseChars at delay 0 over the same
	// interactions.
	RetainedChars uint64 `json:"retained_chars"`
	BaseChars     uint64 `json:"base_chars"`
}

// Delays returns the delays after acceptance at which retention is measured.
func Delays() [7]time.Duration {
	return [7]time.Duration{
		0, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
	}
}

func newCounts() *Counts {
	c := &Counts{}
	for i, delay := range Delays() {
		c.Retention[i].DelaySeconds = uint32(delay / time.Second)
	}
	return c
}

// ended counts a terminal outcome of an interaction that was undecided.
func (c *Counts) ended(outcome flywheelv1.Outcome) {
	c.Undecided--
	switch outcome {
	case flywheelv1.Outcome_OUTCOME_ACCEPTED:
		c.Accepted++
	case flywheelv1.Outcome_OUTCOME_PARTIALLY_ACCEPTED:
		c.PartiallyAccepted++
	case flywheelv1.Outcome_OUTCOME_ACCEPTED_MODIFIED:
		c.AcceptedModified++
	case flywheelv1.Outcome_OUTCOME_REJECTED:
		c.Rejected++
	case flywheelv1.Outcome_OUTCOME_IGNORED:
		c.Ignored++
	case flywheelv1.Outcome_OUTCOME_SUPERSEDED:
		c.Superseded++
	case flywheelv1.Outcome_OUTCOME_CANCELLED:
		c.Cancelled++
	default:
		panic("replay: outcome " + outcome.String() + " is none the author knows")
	}
}

// kept counts a measure of retention at delay i.
func (c *Counts) kept(i int, chars, base uint64) {
	c.Retention[i].Interactions++
	c.Retention[i].RetainedChars += chars
	c.Retention[i].BaseChars += base
}

func (c *Counts) add(other *Counts) {
	mine, others := c.fields(), other.fields()
	for i := range mine {
		*mine[i].value += *others[i].value
	}
	for i := range c.Retention {
		c.Retention[i].Interactions += other.Retention[i].Interactions
		c.Retention[i].RetainedChars += other.Retention[i].RetainedChars
		c.Retention[i].BaseChars += other.Retention[i].BaseChars
	}
}

type field struct {
	name  string
	value *uint64
}

// fields lists the counts by their names in the contract.
func (c *Counts) fields() []field {
	return []field{
		{"opportunities", &c.Opportunities},
		{"not_produced", &c.NotProduced},
		{"suggestions", &c.Suggestions},
		{"shown", &c.Shown},
		{"not_shown", &c.NotShown},
		{"read", &c.Read},
		{"accepted", &c.Accepted},
		{"partially_accepted", &c.PartiallyAccepted},
		{"accepted_modified", &c.AcceptedModified},
		{"rejected", &c.Rejected},
		{"ignored", &c.Ignored},
		{"superseded", &c.Superseded},
		{"cancelled", &c.Cancelled},
		{"undecided", &c.Undecided},
		{"shown_chars", &c.ShownChars},
		{"accepted_chars", &c.AcceptedChars},
		{"committed", &c.Committed},
	}
}

// add takes a finished session into the tally.
func (t *Tally) add(result *sessionResult) {
	i, found := slices.BinarySearchFunc(t.Models, result.model, func(m ModelTally, name string) int {
		return strings.Compare(m.Model, name)
	})
	if !found {
		t.Models = slices.Insert(t.Models, i, ModelTally{Model: result.model, Counts: *newCounts()})
	}
	t.Models[i].add(result.counts)
	t.Total.add(result.counts)
	t.Files += result.files
	t.Sessions++
	for kind, n := range result.events {
		t.Events[kind] += n
		t.EventsTotal += n
	}
}
