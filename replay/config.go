package replay

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc/credentials"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/replay/predict"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

const (
	// sessionInteractions is after how many interactions a session ends.
	sessionInteractions = 60
	// slot is the virtual time set aside for one session of one user, and
	// longestSession how long its typing may take: the rest is for the last
	// measures of retention.
	slot           = 130 * time.Minute
	longestSession = 100 * time.Minute
	// sessionsPerUser is how many sessions a user has unless told otherwise, and
	// fewest how many sessions and users there are at least, so that each model has
	// some of both.
	sessionsPerUser = 8
	fewest          = 4
)

// Config says what is retyped, by how many, and where the events go.
type Config struct {
	// Target is the collector's gRPC address, Tenant the tenant that the events
	// belong to (empty: the collector's default).
	Target, Tenant string
	// Credentials secure the connection. Nil: none on loopback, TLS otherwise.
	Credentials credentials.TransportCredentials
	// Content is what the events' text may be used for. Unspecified: events carry
	// no text.
	Content flywheelv1.Consent

	// Source is the folder whose files are retyped. Empty: the Go tree in GOROOT.
	Source string
	// TestData includes folders called testdata.
	TestData bool
	// History retypes, after each file's earliest of its last History+1 versions in
	// git, the changes to the next ones. 0: files as they are in the folder.
	History int
	// Part is the part of the files that are not for training which is retyped.
	Part Part
	// TrainBytes is how much text of files that are not retyped the models are
	// trained on.
	TrainBytes int

	// Baseline is the name of the model that Candidate is compared with: one of
	// [Baselines]. Both are empty, or neither is.
	Baseline string
	// Candidate is the name of the model that learns Lessons besides the corpus.
	Candidate string
	Lessons   []predict.Lesson

	// Seed decides everything that is drawn: the same seed, source, base time and
	// sizes give the same events, byte for byte.
	Seed uint64
	// BaseTime is when the first sessions begin in virtual time. Zero: so that all
	// of virtual time has passed by now; then a later run gives other times and ids.
	BaseTime time.Time
	// Interactions ends the replay after so many suggestions; if the sessions run
	// into their longest virtual time, a few less. Sessions is how many sessions
	// there are; 0: as many as Interactions need. With both 0 there are 10,000
	// interactions.
	Interactions, Sessions int
	// Users is how many authors there are, at most one per session. 0: one for every
	// eight sessions, and at least four.
	Users int

	// Workers is how many sessions run at once. It does not change the events.
	Workers int
	// Repeat sends every event so many times, and Shuffle sends all of them in an
	// order drawn from the seed: the collector's view of retries and late arrivals.
	// Both hold all events in memory.
	Repeat  int
	Shuffle bool

	// Witness, where not nil, is told of every interaction and of the document as the
	// agent had it when it asked its model. It is called from several goroutines and must
	// keep no reference to text.
	Witness func(interaction flywheel.ID, document string, text []byte)
}

// DefaultConfig returns the settings unless told otherwise.
func DefaultConfig() Config {
	return Config{
		Content:      flywheelv1.Consent_CONSENT_TRAINING,
		TrainBytes:   2 << 20,
		Seed:         1,
		Interactions: 10_000,
		Workers:      1,
		Repeat:       1,
	}
}

// Validate returns everything that is wrong with the settings, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Target == "" {
		errs = append(errs, errors.New("target: the address of a collector is needed"))
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"history", c.History}, {"train bytes", c.TrainBytes}, {"interactions", c.Interactions},
		{"sessions", c.Sessions}, {"users", c.Users},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s %d: it cannot be negative", n.name, n.value))
		}
	}
	if c.Workers < 1 {
		errs = append(errs, fmt.Errorf("workers %d: at least one is needed", c.Workers))
	}
	if c.Repeat < 1 {
		errs = append(errs, fmt.Errorf("repeat %d: at least once is needed", c.Repeat))
	}
	if err := c.Part.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := c.validateCandidate(); err != nil {
		errs = append(errs, err)
	}
	if _, known := flywheelv1.Consent_name[int32(c.Content)]; !known {
		errs = append(errs, fmt.Errorf("content %d: no such consent", c.Content))
	}
	return errors.Join(errs...)
}

// recorded says whether the events are recorded before they are sent.
func (c Config) recorded() bool { return c.Repeat > 1 || c.Shuffle }

// plan is the sizes and times that follow from a configuration.
type plan struct {
	sessions, users int
	// quotas[i] is after how many interactions session i ends.
	quotas []int
	// All virtual time lies in [base, end).
	base, end time.Time
}

func (c Config) plan(now time.Time) (plan, error) {
	interactions := c.Interactions
	if interactions == 0 && c.Sessions == 0 {
		interactions = DefaultConfig().Interactions
	}
	p := plan{sessions: c.Sessions, users: c.Users}
	if p.sessions == 0 {
		p.sessions = max((interactions+sessionInteractions-1)/sessionInteractions, min(fewest, interactions))
	}
	if p.users == 0 {
		p.users = max((p.sessions+sessionsPerUser-1)/sessionsPerUser, fewest)
	}
	p.users = min(p.users, p.sessions)
	p.quotas = quotas(p.sessions, interactions)
	length := time.Duration((p.sessions+p.users-1)/p.users) * slot
	p.base = c.BaseTime.UTC().Truncate(time.Millisecond)
	if c.BaseTime.IsZero() {
		p.base = now.UTC().Truncate(time.Minute).Add(-length)
	}
	if p.end = p.base.Add(length); p.end.After(now) {
		return plan{}, fmt.Errorf("base time %s: the replay takes %s of virtual time, which would end in the future; begin earlier or have more users",
			p.base.Format(time.RFC3339), length)
	}
	return p, nil
}

// quotas shares interactions out to sessions: evenly, the first ones one more. With
// no number of interactions every session has the usual one.
func quotas(sessions, interactions int) []int {
	shares := make([]int, sessions)
	for i := range shares {
		shares[i] = sessionInteractions
		if interactions > 0 {
			shares[i] = interactions / sessions
			if i < interactions%sessions {
				shares[i]++
			}
		}
	}
	return shares
}

// start returns when session i begins: a user's sessions follow each other, and
// users begin up to ten minutes apart.
func (p plan) start(i int, jitter float64) time.Time {
	offset := time.Duration(math.Floor(jitter*10*60*1000)) * time.Millisecond
	return p.base.Add(time.Duration(i/p.users)*slot + offset)
}
