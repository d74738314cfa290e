package main

import (
	"fmt"
	"go/build"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
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
	// mixUsers is how many users there are, one session after the other.
	mixUsers    = 4
	corpusBytes = 16 << 20
)

// mix makes the events of interactions, all but their ids and times. It is not safe for
// concurrent use.
type mix struct {
	corpus   string
	random   *rand.Rand
	sequence uint64
	made     int
	// perSession is how many interactions share a session.
	perSession int
	dims       *flywheelv1.Dimensions
}

func newMix(corpus string, perSession int) *mix {
	return &mix{
		corpus: corpus, random: rand.New(rand.NewPCG(1, 1)), perSession: perSession,
		dims: &flywheelv1.Dimensions{
			Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: "bench-7b@1", Variant: "control",
			Experiment: "bench", Language: "go", Client: "bench", ClientVersion: "1.0.0",
			ViewKind: flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT, Source: flywheelv1.Source_SOURCE_NETWORK,
			Trigger: flywheelv1.Trigger_TRIGGER_TYPING, Repository: "bench",
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

// interaction calls add with each event of the next interaction, which add may keep. It
// says whether the event is the first of a session and whether it names an interaction.
func (m *mix) interaction(add func(e *flywheelv1.Event, session, interaction bool)) {
	session := m.made%m.perSession == 0
	if session {
		m.sequence = 0
		m.dims.User = fmt.Sprintf("user-%d", m.made/m.perSession%mixUsers)
	}
	m.made++
	write := func(e *flywheelv1.Event, interaction bool) {
		m.sequence++
		e.Sequence = m.sequence
		add(e, session, interaction)
		session = false
	}
	for range editsPer {
		write(m.edit(), false)
	}
	write(&flywheelv1.Event{Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: m.dims}}}, false)
	write(&flywheelv1.Event{
		Content: &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Prompt: m.text(promptBytes), Text: m.text(completionBytes)},
		Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
			Kind: flywheelv1.InteractionKind_INTERACTION_KIND_COMPLETION, FirstTokenUs: 90_000, LatencyUs: 180_000,
			PromptTokens: 256, OutputTokens: 50, OutputChars: completionBytes, OutputLines: 6,
		}},
	}, true)
	write(&flywheelv1.Event{Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: m.dims, LatencyUs: int64(100_000 + m.random.IntN(200_000))}}}, true)
	write(&flywheelv1.Event{Payload: &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: 900_000}}}, true)
	write(&flywheelv1.Event{Payload: &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
		Outcome: flywheelv1.Outcome(1 + m.random.IntN(7)), VisibleUs: 1_200_000, AcceptedChars: completionBytes,
	}}}, true)
	write(&flywheelv1.Event{Payload: &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{RetainedChars: completionBytes, FourGram: new(float32(1))}}}, true)
}

func (m *mix) edit() *flywheelv1.Event {
	text := m.text(1 + m.random.IntN(12))
	return &flywheelv1.Event{
		Content: &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Text: text},
		Payload: &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
			Document: "main.go", Version: m.sequence + 1, Offset: uint64(m.random.IntN(1 << 16)),
			InsertedLength: uint64(len(text)), Source: flywheelv1.EditSource_EDIT_SOURCE_USER,
		}},
	}
}
