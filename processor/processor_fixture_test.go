package processor_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/processor/signal"
)

// patience is how long tests wait for what must happen.
const patience = 90 * time.Second

// pipeline is a log and a database of a test's own.
type pipeline struct {
	tb  testing.TB
	log *eventlog.Log
	db  *warehouse.DB
}

func newPipeline(tb testing.TB) *pipeline {
	tb.Helper()
	return &pipeline{tb: tb, log: newLog(tb, eventlog.DefaultConfig()), db: newDatabase(tb, enginetest.DSN(tb))}
}

func newLog(tb testing.TB, cfg eventlog.Config) *eventlog.Log {
	tb.Helper()
	cfg.Dir = tb.TempDir()
	log, err := eventlog.Open(tb.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := log.Close(); err != nil {
			tb.Error(err)
		}
	})
	return log
}

func newDatabase(tb testing.TB, dsn string) *warehouse.DB {
	tb.Helper()
	db, err := warehouse.Open(tb.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

// run runs a processor until stop is called or the test ends.
func (p *pipeline) run(change ...func(*processor.Config)) (proc *processor.Processor, stop func()) {
	p.tb.Helper()
	cfg := processor.DefaultConfig()
	cfg.MaxDelay = 20 * time.Millisecond
	for _, f := range change {
		f(&cfg)
	}
	proc, err := processor.New(cfg, p.log, p.db, slog.New(slog.DiscardHandler))
	if err != nil {
		p.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.tb.Context())
	done := make(chan error, 1)
	go func() { done <- proc.Run(ctx) }()
	stopped := false
	stop = func() {
		p.tb.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				p.tb.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			p.tb.Error("Run does not return")
		}
	}
	p.tb.Cleanup(stop)
	return proc, stop
}

// publish publishes one record with batches.
func (p *pipeline) publish(lane eventlog.Lane, batches ...*flywheelv1.LogBatch) {
	p.tb.Helper()
	record, err := (&flywheelv1.LogRecord{Batches: batches}).MarshalVT()
	if err != nil {
		p.tb.Fatal(err)
	}
	p.publishBytes(lane, record)
}

func (p *pipeline) publishBytes(lane eventlog.Lane, record []byte) {
	p.tb.Helper()
	if err := p.log.Publish(p.tb.Context(), lane, record); err != nil {
		p.tb.Fatal(err)
	}
}

// drained waits until the processors have acknowledged everything.
func (p *pipeline) drained() {
	p.tb.Helper()
	for _, lane := range eventlog.Lanes() {
		p.eventually("the "+lane.String()+" lane is drained", func() bool {
			pending, err := p.log.Pending(p.tb.Context(), lane)
			return err == nil && pending == 0
		})
	}
}

// eventually waits until a condition holds.
func (p *pipeline) eventually(what string, holds func() bool) {
	p.tb.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			p.tb.Fatalf("still waiting: %s", what)
		case <-tick.C:
		}
	}
}

func (p *pipeline) exec(statement string) {
	p.tb.Helper()
	if err := p.db.Conn().Exec(p.tb.Context(), statement); err != nil {
		p.tb.Fatalf("%s: %v", statement, err)
	}
}

func (p *pipeline) number(query string) (n uint64) {
	p.tb.Helper()
	if err := p.db.Conn().QueryRow(p.tb.Context(), query).Scan(&n); err != nil {
		p.tb.Fatalf("%s: %v", query, err)
	}
	return n
}

func (p *pipeline) deadLetters() (all []eventlog.DeadLetter) {
	p.tb.Helper()
	for letter, err := range p.log.DeadLetters(p.tb.Context()) {
		if err != nil {
			p.tb.Fatal(err)
		}
		all = append(all, letter)
	}
	return all
}

// sent is an event with the tenant that sends it.
type sent struct {
	tenant string
	lane   eventlog.Lane
	event  *flywheelv1.Event
}

// fingerprints are the merged rows of all tables, boiled down.
func fingerprints(tb testing.TB, db *warehouse.DB) string {
	tb.Helper()
	var all strings.Builder
	for _, table := range []string{"interactions", "opportunities", "content", "edits", "steps"} {
		var rows, hash uint64
		query := "SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM " + table + " FINAL"
		if err := db.Conn().QueryRow(tb.Context(), query).Scan(&rows, &hash); err != nil {
			tb.Fatalf("%s: %v", query, err)
		}
		fmt.Fprintf(&all, "%s: %d rows %x\n", table, rows, hash)
	}
	return all.String()
}

// recounted are the fingerprints of events that are stored once, in one batch, with no
// processor.
func recounted(tb testing.TB, events []sent) string {
	tb.Helper()
	var rows signal.Batch
	for _, e := range events {
		if err := rows.Add(e.tenant, e.event); err != nil {
			tb.Fatal(err)
		}
	}
	db := newDatabase(tb, enginetest.DSN(tb))
	interactions, opportunities, content := warehouse.NewInteractions(), warehouse.NewOpportunities(), warehouse.NewContent()
	edits, steps := warehouse.NewEdits(), warehouse.NewSteps()
	interactions.Append(rows.Interactions)
	opportunities.Append(rows.Opportunities)
	content.Append(rows.Content)
	edits.Append(rows.Edits)
	steps.Append(rows.Steps)
	for table, columns := range map[string]warehouse.Columns{
		"interactions": interactions, "opportunities": opportunities, "content": content, "edits": edits, "steps": steps,
	} {
		if err := db.Insert(tb.Context(), table, columns); err != nil {
			tb.Fatal(err)
		}
	}
	return fingerprints(tb, db)
}

// id7 is a UUIDv7 of a time.
func id7(at time.Time) []byte {
	id := uuid.New()
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = 0x70 | id[6]&0x0f
	return id[:]
}

// sessions are the events of n random sessions in the last hours, of two tenants.
func sessions(random *rand.Rand, n int) []sent {
	var events []sent
	for range n {
		at := time.Now().Add(-time.Duration(random.IntN(7200)) * time.Second)
		s := session{random: random, tenant: []string{"acme", "default"}[random.IntN(2)], id: id7(at), at: at}
		s.edits()
		for range random.IntN(4) {
			s.opportunity()
		}
		events = append(events, s.events...)
	}
	return events
}

// session makes events.
type session struct {
	random *rand.Rand
	tenant string
	id     []byte
	at     time.Time
	events []sent
}

func (s *session) add(lane eventlog.Lane, e *flywheelv1.Event) {
	s.at = s.at.Add(time.Duration(s.random.IntN(3000)) * time.Millisecond)
	e.EventId, e.SessionId, e.TimeUnixUs, e.Sequence = id7(s.at), s.id, s.at.UnixMicro(), uint64(len(s.events)+1)
	if s.random.IntN(3) == 0 {
		e.Content = &flywheelv1.Content{
			Consent: flywheelv1.Consent(s.random.IntN(2) + 1),
			Prompt:  fmt.Sprint("prompt ", s.random.IntN(100)), Text: fmt.Sprint("text ", s.random.IntN(100)),
			UserText: fmt.Sprint("user text ", s.random.IntN(100)), Comment: fmt.Sprint("comment ", s.random.IntN(100)),
		}
	}
	s.events = append(s.events, sent{s.tenant, lane, e})
}

func (s *session) edits() {
	for range s.random.IntN(5) {
		s.add(eventlog.Trace, &flywheelv1.Event{Payload: &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
			Document: "d", Offset: s.random.Uint64N(1000), Source: flywheelv1.EditSource(s.random.IntN(8)),
		}}})
		s.add(eventlog.Trace, &flywheelv1.Event{Payload: &flywheelv1.Event_ToolCall{ToolCall: &flywheelv1.ToolCall{
			CallId: "c", Tool: "shell", Decision: flywheelv1.ToolDecision(s.random.IntN(6)), DurationUs: 5,
		}}})
	}
}

// opportunity adds an opportunity that leads to an interaction.
func (s *session) opportunity() {
	opportunity, interaction := id7(s.at), id7(s.at)
	rating := uint32(s.random.IntN(101))
	fourGram := s.random.Float32()
	logprob := -s.random.Float32()
	dimensions := &flywheelv1.Dimensions{Surface: flywheelv1.Surface(s.random.IntN(8)), Model: fmt.Sprint("m", s.random.IntN(3)), User: "u"}
	add := func(e *flywheelv1.Event) {
		e.OpportunityId, e.InteractionId = opportunity, interaction
		s.add(eventlog.Outcome, e)
	}
	s.add(eventlog.Outcome, &flywheelv1.Event{OpportunityId: opportunity, Payload: &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: dimensions}}})
	add(&flywheelv1.Event{Payload: &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{OutputChars: s.random.Uint32N(80), MeanLogprob: &logprob}}})
	add(&flywheelv1.Event{Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: dimensions}}})
	for range s.random.IntN(3) {
		add(&flywheelv1.Event{Payload: &flywheelv1.Event_Ended{Ended: &flywheelv1.Ended{
			Outcome: flywheelv1.Outcome(s.random.IntN(8) + 1), SupersededBy: id7(s.at), VisibleUs: s.random.Int64N(1e6),
		}}})
		delays := warehouse.RetentionDelays()
		add(&flywheelv1.Event{Payload: &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{
			DelayS: delays[s.random.IntN(7)], RetainedChars: s.random.Uint32N(80), FourGram: &fourGram, BranchChanged: s.random.IntN(2) == 0,
		}}})
		add(&flywheelv1.Event{Payload: &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{
			Thumb: flywheelv1.Thumb(s.random.IntN(3)), Rating: &rating,
		}}})
	}
}

// publishAll publishes events in random batches and records, each lane for itself.
func (p *pipeline) publishAll(random *rand.Rand, events []sent) {
	p.tb.Helper()
	for _, lane := range eventlog.Lanes() {
		var batches []*flywheelv1.LogBatch
		for _, e := range events {
			if e.lane != lane {
				continue
			}
			last := len(batches) - 1
			if last < 0 || batches[last].Tenant != e.tenant || random.IntN(10) == 0 {
				if len(batches) > 0 && random.IntN(3) == 0 {
					p.publish(lane, batches...)
					batches = nil
				}
				batches = append(batches, &flywheelv1.LogBatch{BatchId: id7(time.Now()), Tenant: e.tenant, ReceivedUnixUs: time.Now().UnixMicro()})
				last = len(batches) - 1
			}
			batches[last].Events = append(batches[last].Events, e.event)
		}
		p.publish(lane, batches...)
	}
}
