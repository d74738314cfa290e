package main

import (
	"fmt"
	"go/build"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/test/ledger"
)

// The standard mix, per interaction: requested, generated with a prompt of 1 KB
// and a completion of 200 B, shown, read, ended, retention at 0 s, and ten edits
// of 1 to 12 bytes. Texts are real Go source.
const (
	promptBytes     = 1024
	completionBytes = 200
	editsPer        = 10
	eventsPer       = 6 + editsPer
	// interactionsPerSession is how many interactions share a session, unless told otherwise.
	interactionsPerSession = 100
	corpusBytes            = 16 << 20
)

// mix makes the events of one client. It is not safe for concurrent use.
type mix struct {
	corpus   string
	random   *rand.Rand
	session  uuid.UUID
	sequence uint64
	made     int
	// perSession is how many interactions share a session.
	perSession int
	dims       *flywheelv1.Dimensions
	event      flywheelv1.Event
	content    flywheelv1.Content
}

func newMix(corpus string, client uint64) *mix {
	return &mix{
		corpus:     corpus,
		random:     rand.New(rand.NewPCG(1, client)),
		perSession: interactionsPerSession,
		dims: &flywheelv1.Dimensions{
			Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: "bench-7b@1", Variant: "control",
			Experiment: "bench", Language: "go", Client: "bench", ClientVersion: "1.0.0",
			ViewKind: flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT, Source: flywheelv1.Source_SOURCE_NETWORK,
			Trigger: flywheelv1.Trigger_TRIGGER_TYPING, User: fmt.Sprintf("user-%d", client), Repository: "bench",
		},
	}
}

// loadCorpus reads Go source from GOROOT.
func loadCorpus() (string, error) {
	var text strings.Builder
	root := filepath.Join(build.Default.GOROOT, "src")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		if text.Len() >= corpusBytes {
			return fs.SkipAll
		}
		data, err := os.ReadFile(path)
		text.Write(data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read source in %s: %w", root, err)
	}
	return strings.ToValidUTF8(text.String(), "?"), nil
}

// text is a piece of the corpus of about n bytes.
func (m *mix) text(n int) string {
	at := m.random.IntN(len(m.corpus) - n)
	return strings.ToValidUTF8(m.corpus[at:at+n], "?")
}

func (m *mix) id(at time.Time) uuid.UUID { return ledger.NewID(m.random, at) }

// interaction appends the events of one interaction to a batch, each as field 2
// of a CollectStreamRequest.
func (m *mix) interaction(batch []byte) []byte {
	now := time.Now()
	if m.made%m.perSession == 0 {
		m.session, m.sequence = m.id(now), 0
	}
	m.made++
	opportunity, interaction := m.id(now), m.id(now)
	m.event = flywheelv1.Event{SessionId: m.session[:], OpportunityId: opportunity[:], TimeUnixUs: now.UnixMicro()}
	write := func(interactionID []byte) {
		m.sequence++
		id := m.id(now)
		m.event.EventId, m.event.Sequence, m.event.InteractionId = id[:], m.sequence, interactionID
		batch = appendEvent(batch, &m.event)
		m.event.Content = nil
	}
	for range editsPer {
		text := m.text(1 + m.random.IntN(12))
		m.content = flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Text: text}
		m.event.Content = &m.content
		m.event.Payload = &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
			Document: "main.go", Version: m.sequence, Offset: uint64(m.random.IntN(1 << 16)),
			InsertedLength: uint64(len(text)), Source: flywheelv1.EditSource_EDIT_SOURCE_USER,
		}}
		write(nil)
	}
	m.event.Payload = &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: m.dims}}
	write(nil)
	m.content = flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Prompt: m.text(promptBytes), Text: m.text(completionBytes)}
	m.event.Content = &m.content
	m.event.Payload = &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
		Kind: flywheelv1.InteractionKind_INTERACTION_KIND_COMPLETION, FirstTokenUs: 90_000, LatencyUs: 180_000,
		PromptTokens: 256, OutputTokens: 50, OutputChars: completionBytes, OutputLines: 6,
	}}
	write(interaction[:])
	m.event.Payload = &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: m.dims, LatencyUs: int64(100_000 + m.random.IntN(200_000))}}
	write(interaction[:])
	m.event.Payload = &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: 900_000}}
	write(interaction[:])
	m.event.Payload = &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
		Outcome: flywheelv1.Outcome(1 + m.random.IntN(7)), VisibleUs: 1_200_000, AcceptedChars: completionBytes,
	}}
	write(interaction[:])
	m.event.Payload = &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{RetainedChars: completionBytes, FourGram: new(float32(1))}}
	write(interaction[:])
	return batch
}
