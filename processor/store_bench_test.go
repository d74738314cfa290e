package processor_test

import (
	"context"
	"fmt"
	"go/build"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
)

const (
	// storeTick is how often BenchmarkStore stores a batch, which has storeInteractions of
	// the standard mix: 200,000 events a second.
	storeTick         = 500 * time.Millisecond
	storeInteractions = 6_250
	mixEdits          = 10
	mixEvents         = 6 + mixEdits
)

// BenchmarkStore stores the standard mix (docs/performance.md) in the blocks that
// processors make of it, at a fixed rate and from the start of a minute on, while a settler
// runs. It reports the CPU time that the engine takes for it: for inserts, merges and
// recounts. Run it with -benchtime=60x, which is half a minute.
func BenchmarkStore(b *testing.B) {
	db := newDatabase(b, enginetest.DSN(b))
	settler, err := processor.NewSettler(processor.DefaultSettlerConfig(), db, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var settling sync.WaitGroup
	settling.Go(func() { _ = settler.Run(ctx) })
	store, m := newMixStore(b, db), newStandardMix(b)
	pid := enginetest.Engine(b).PID()
	before, began := cpuTime(b, pid), time.Now()
	tick := time.NewTicker(storeTick)
	defer tick.Stop()
	for b.Loop() {
		store.store(m)
		<-tick.C
	}
	events := float64(b.N * storeInteractions * mixEvents)
	b.ReportMetric(events/time.Since(began).Seconds(), "events/s")
	b.ReportMetric((cpuTime(b, pid)-before).Seconds()/events*1e6, "engine-µs/event")
	cancel()
	settling.Wait()
}

// mixStore stores batches as a processor does.
type mixStore struct {
	b       *testing.B
	db      *warehouse.DB
	rows    signal.Batch
	touches *warehouse.Touches

	interactions  *warehouse.Interactions
	opportunities *warehouse.Opportunities
	content       *warehouse.Content
	edits         *warehouse.Edits
}

func newMixStore(b *testing.B, db *warehouse.DB) *mixStore {
	return &mixStore{
		b: b, db: db, touches: warehouse.NewTouches(),
		interactions: warehouse.NewInteractions(), opportunities: warehouse.NewOpportunities(),
		content: warehouse.NewContent(), edits: warehouse.NewEdits(),
	}
}

// store stores the next batch of the mix, and then its touch.
func (s *mixStore) store(m *standardMix) {
	s.b.Helper()
	s.rows.Reset()
	minute := m.now.Truncate(time.Minute)
	for range storeInteractions {
		if err := m.interaction(&s.rows); err != nil {
			s.b.Fatal(err)
		}
	}
	var group errgroup.Group
	group.Go(func() error { return storeRows(s, "interactions", s.interactions, s.rows.Interactions) })
	group.Go(func() error { return storeRows(s, "opportunities", s.opportunities, s.rows.Opportunities) })
	group.Go(func() error { return storeRows(s, "content", s.content, s.rows.Content) })
	group.Go(func() error { return storeRows(s, "edits", s.edits, s.rows.Edits) })
	err := group.Wait()
	if err == nil {
		touch := warehouse.Touch{Tenant: "default", Bucket: minute, Touches: 1, TouchedAt: time.Now()}
		err = storeRows(s, "bucket_touches", s.touches, []warehouse.Touch{touch})
	}
	if err != nil {
		s.b.Fatal(err)
	}
}

func storeRows[R any](s *mixStore, table string, columns *warehouse.Table[R], rows []R) error {
	columns.Append(rows)
	defer columns.Reset()
	return s.db.Insert(s.b.Context(), table, columns)
}

// standardMix makes the events of four clients, which send 32 interactions at a time, in
// sessions of 100, as fast as storeInteractions are stored.
type standardMix struct {
	random  *rand.Rand
	corpus  string
	now     time.Time
	made    int
	clients [4]mixClient
}

type mixClient struct {
	made       int
	session    []byte
	sequence   uint64
	dimensions *flywheelv1.Dimensions
}

// newStandardMix begins with the minute that is under way.
func newStandardMix(b *testing.B) *standardMix {
	files, err := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", "net", "*", "*.go"))
	var corpus strings.Builder
	for _, file := range files {
		text, readErr := os.ReadFile(file)
		if err == nil {
			err = readErr
		}
		corpus.Write(text)
	}
	if err != nil {
		b.Fatal(err)
	}
	m := &standardMix{random: rand.New(rand.NewPCG(7, 7)), corpus: corpus.String(), now: time.Now().Truncate(time.Minute)}
	for i := range m.clients {
		m.clients[i].dimensions = &flywheelv1.Dimensions{
			Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: "bench-7b@1", Variant: "control",
			Experiment: "bench", Language: "go", Client: "bench", ClientVersion: "1.0.0",
			ViewKind: flywheelv1.ViewKind_VIEW_KIND_GHOST_TEXT, Source: flywheelv1.Source_SOURCE_NETWORK,
			Trigger: flywheelv1.Trigger_TRIGGER_TYPING, User: fmt.Sprint("user-", i), Repository: "bench",
		}
	}
	return m
}

func (m *standardMix) text(n int) string {
	at := m.random.IntN(len(m.corpus) - n)
	return m.corpus[at : at+n]
}

// interaction adds the events of the next interaction to a batch.
func (m *standardMix) interaction(batch *signal.Batch) error {
	defer func() { m.now = m.now.Add(storeTick / storeInteractions) }()
	c := &m.clients[m.made/32%len(m.clients)]
	m.made++
	if c.made%100 == 0 {
		c.session, c.sequence = id7(m.now), 0
	}
	c.made++
	event := flywheelv1.Event{SessionId: c.session, OpportunityId: id7(m.now), TimeUnixUs: m.now.UnixMicro()}
	add := func() error {
		c.sequence++
		event.EventId, event.Sequence = id7(m.now), c.sequence
		err := batch.Add("default", &event)
		event.Content = nil
		return err
	}
	for range mixEdits {
		text := m.text(1 + m.random.IntN(12))
		event.Content = &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Text: text}
		event.Payload = &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
			Document: "main.go", Version: c.sequence + 1, Offset: m.random.Uint64N(1 << 16),
			InsertedLength: uint64(len(text)), Source: flywheelv1.EditSource_EDIT_SOURCE_USER,
		}}
		if err := add(); err != nil {
			return err
		}
	}
	event.Payload = &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: c.dimensions}}
	if err := add(); err != nil {
		return err
	}
	event.InteractionId = id7(m.now)
	event.Content = &flywheelv1.Content{Consent: flywheelv1.Consent_CONSENT_TRAINING, Prompt: m.text(1024), Text: m.text(200)}
	for _, e := range m.outcome(c) {
		event.Payload = e.Payload
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// outcome is the payloads of what happens to an interaction.
func (m *standardMix) outcome(c *mixClient) []*flywheelv1.Event {
	return []*flywheelv1.Event{
		{Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
			Kind: flywheelv1.InteractionKind_INTERACTION_KIND_COMPLETION, FirstTokenUs: 90_000, LatencyUs: 180_000,
			PromptTokens: 256, OutputTokens: 50, OutputChars: 200, OutputLines: 6,
		}}},
		{Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: c.dimensions, LatencyUs: 100_000 + m.random.Int64N(200_000)}}},
		{Payload: &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: 900_000}}},
		{Payload: &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{Outcome: flywheelv1.Outcome(1 + m.random.IntN(7)), VisibleUs: 1_200_000, AcceptedChars: 200}}},
		{Payload: &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{RetainedChars: 200, FourGram: new(float32(1))}}},
	}
}

// cpuTime is the CPU time that a process has used so far, user and system.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip("the CPU time of the engine is read from /proc: ", err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	var total time.Duration
	for _, field := range strings.Fields(rest)[11:13] {
		hundredths, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(hundredths) * 10 * time.Millisecond
	}
	return total
}
