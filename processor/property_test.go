package processor_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
)

var (
	propertyCases = flag.Int("property.cases", 200, "random histories that TestArrivalChangesNothing stores")
	propertySeed  = flag.Uint64("property.seed", 1, "seed of TestArrivalChangesNothing")
)

// contents are the queries whose rows must not depend on how events arrived: one column
// with the tenant, one with all that is stored. What counts nothing is left out, as are
// versions and times of settlement, which say how often data arrived and when.
func contents() map[string]string {
	all := map[string]string{
		"user_rates": "SELECT tenant, toString(tuple(*)) FROM user_rates",
		// Whether a window has closed depends on when one asks.
		"training_signals": "SELECT tenant, toString(tuple(* EXCEPT settled)) FROM training_signals",
	}
	for _, table := range []string{"interactions", "opportunities", "content", "edits", "steps"} {
		all[table] = "SELECT tenant, toString(tuple(*)) FROM " + table + " FINAL"
	}
	for _, table := range []string{"rates", "rate_hours", "rate_days", "user_rate_hours"} {
		all[table] = "SELECT tenant, toString(tuple(* EXCEPT (version, settled_at))) FROM " + table + ` FINAL
			WHERE opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0`
	}
	return all
}

// TestArrivalChangesNothing stores random histories twice: in order, once, in one batch,
// by one processor, settled at the end; and duplicated, shuffled, in random batches, by
// several processors that come and go, with settlers at work in between. Every table and
// view must be the same, byte by byte. Each history is a tenant of its own; all of them
// go through the same log at once.
func TestArrivalChangesNothing(t *testing.T) {
	t.Parallel()
	histories, events := newHistories(*propertyCases)
	straight, crooked := newPipeline(t), newPipeline(t)
	straight.storeInOrder(events)
	crooked.storeAnyhow(rand.New(rand.NewPCG(*propertySeed, 0)), events)
	requireSame(t, straight, crooked, histories)
}

// newHistories returns n random histories, and all events of them.
func newHistories(n int) (histories [][]sent, events []sent) {
	for i := range n {
		random := rand.New(rand.NewPCG(*propertySeed, uint64(i)))
		history := newHistory(random, fmt.Sprintf("case %05d", i))
		histories = append(histories, history)
		events = append(events, history...)
	}
	return histories, events
}

// requireSame fails unless two databases have the same of histories that one stored in
// order and the other anyhow.
func requireSame(t *testing.T, straight, crooked *pipeline, histories [][]sent) {
	t.Helper()
	for name, query := range contents() {
		want, got := straight.rowsByTenant(query), crooked.rowsByTenant(query)
		if len(want) == 0 {
			t.Errorf("%s is empty: the test shows nothing", name)
		}
		for i, history := range histories {
			tenant := fmt.Sprintf("case %05d", i)
			if diff := cmp.Diff(want[tenant], got[tenant]); diff != "" {
				t.Fatalf("%s of %s (-property.seed=%d) depends on how events arrive (-in order +anyhow):\n%.3000s\nof these events:\n%s",
					name, tenant, *propertySeed, diff, history)
			}
		}
	}
}

// storeInOrder stores events in one record per lane.
func (p *pipeline) storeInOrder(events []sent) {
	p.tb.Helper()
	for _, lane := range eventlog.Lanes() {
		p.publish(lane, batchesOf(events, lane)...)
	}
	_, stop := p.run()
	p.drained()
	stop()
	p.settleOnce()
}

// storeAnyhow stores each event up to three times, in any order and any batches.
func (p *pipeline) storeAnyhow(random *rand.Rand, events []sent) {
	p.tb.Helper()
	var copies []sent
	for _, e := range events {
		for range 1 + random.IntN(3) {
			copies = append(copies, e)
		}
	}
	random.Shuffle(len(copies), func(i, j int) { copies[i], copies[j] = copies[j], copies[i] })
	var settling sync.WaitGroup
	ctx, stopSettling := context.WithCancel(p.tb.Context())
	for range 2 {
		settling.Go(func() {
			for ctx.Err() == nil {
				p.settleOnce()
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
			}
		})
	}
	_, stopFirst := p.run()
	for part := 0; len(copies) > 0; part++ {
		some := copies[:min(len(copies), 1+random.IntN(1000))]
		copies = copies[len(some):]
		slices.SortStableFunc(some, func(a, b sent) int { return strings.Compare(a.tenant, b.tenant) })
		for _, lane := range eventlog.Lanes() {
			for batches := range slices.Chunk(batchesOf(some, lane), 1+random.IntN(20)) {
				p.publish(lane, batches...)
			}
		}
		switch part {
		case 5, 10:
			p.run(func(cfg *processor.Config) { cfg.MaxRows = 1 + random.IntN(50) })
		case 15:
			stopFirst()
		}
	}
	p.drained()
	stopSettling()
	settling.Wait()
	p.settleOnce()
}

// batchesOf are a lane's events as batches, one per run of events of one tenant.
func batchesOf(events []sent, lane eventlog.Lane) (batches []*flywheelv1.LogBatch) {
	for _, e := range events {
		if e.lane != lane {
			continue
		}
		last := len(batches) - 1
		if last < 0 || batches[last].Tenant != e.tenant {
			batches = append(batches, &flywheelv1.LogBatch{BatchId: id7(time.Now()), Tenant: e.tenant, ReceivedUnixUs: time.Now().UnixMicro()})
			last++
		}
		batches[last].Events = append(batches[last].Events, e.event)
	}
	return batches
}

func (p *pipeline) settleOnce() {
	p.tb.Helper()
	settleOnce(context.WithoutCancel(p.tb.Context()), p.tb, ratesStore{p.db, p.tb}.settler())
}

// rowsByTenant returns the rows of a query, sorted.
func (p *pipeline) rowsByTenant(query string) map[string][]string {
	p.tb.Helper()
	rows, err := p.db.Conn().Query(p.tb.Context(), query+" ORDER BY ALL")
	if err != nil {
		p.tb.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string][]string{}
	for rows.Next() {
		var tenant, row string
		if err := rows.Scan(&tenant, &row); err != nil {
			p.tb.Fatal(err)
		}
		all[tenant] = append(all[tenant], row)
	}
	if err := rows.Err(); err != nil {
		p.tb.Fatal(err)
	}
	return all
}

// String lists an event for people.
func (s sent) String() string { return prototext.MarshalOptions{}.Format(s.event) + "\n" }

// history makes the events of one case: what clients might send, and what they should
// not: contradictions, equal times, orphans, values at the ends of their ranges.
type history struct {
	random *rand.Rand
	tenant string
	at     time.Time
	events []sent
	// ids are those in use: opportunities, interactions and sessions.
	opportunities, interactions, sessions [][]byte
}

// newHistory begins around an hour's end, which for some is a day's.
func newHistory(random *rand.Rand, tenant string) []sent {
	h := &history{random: random, tenant: tenant}
	h.at = time.Date(2026, 3, 2, 20+random.IntN(4), 58, random.IntN(60), random.IntN(1e9), time.UTC)
	for range 1 + random.IntN(3) {
		h.sessions = append(h.sessions, h.id())
	}
	for range 1 + random.IntN(4) {
		h.wait()
		h.opportunities = append(h.opportunities, h.id())
		for range random.IntN(3) {
			h.wait()
			h.interactions = append(h.interactions, h.id())
		}
	}
	if len(h.interactions) == 0 {
		h.interactions = append(h.interactions, h.id())
	}
	for range 10 + random.IntN(50) {
		h.event()
	}
	return h.events
}

// id is a UUIDv7 of now that follows from the seed.
func (h *history) id() []byte {
	id := id7(h.at)
	for i := 6; i < len(id); i++ {
		id[i] = byte(h.random.Uint32())
	}
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

// wait lets time pass: none at all, seconds, minutes, and now and then it goes back.
func (h *history) wait() {
	h.at = h.at.Add(some(h.random, 0, time.Second, 10*time.Second, time.Minute, -2*time.Second) * time.Duration(h.random.IntN(3)))
}

// some picks one of the values.
func some[T any](random *rand.Rand, values ...T) T { return values[random.IntN(len(values))] }

func (h *history) number() uint32 {
	return some(h.random, 0, 1, 20, 40, h.random.Uint32N(100), 1<<32-1)
}

func (h *history) micros() int64 {
	return some(h.random, 0, -5, 1, 749_999, 750_000, h.random.Int64N(5_000_000))
}

func (h *history) word(kind string) string {
	return some(h.random, "", kind+" a", kind+" b", kind+" ü\x00\n")
}

func (h *history) dimensions() *flywheelv1.Dimensions {
	if h.random.IntN(8) == 0 {
		return nil
	}
	r := h.random
	return &flywheelv1.Dimensions{
		Surface: flywheelv1.Surface(r.IntN(3)), Model: h.word("model"), Variant: h.word("variant"), Experiment: some(r, "", "e"),
		Language: h.word("language"), Client: some(r, "", "client"), ClientVersion: some(r, "", "1"), ClientSetting: some(r, "", "eager"),
		ViewKind: flywheelv1.ViewKind(r.IntN(3)), Source: flywheelv1.Source(r.IntN(3)), Trigger: flywheelv1.Trigger(r.IntN(3)),
		User: h.word("user"), Repository: some(r, "", "repository"),
	}
}

// event adds one event of any kind.
func (h *history) event() {
	h.wait()
	r := h.random
	e := &flywheelv1.Event{
		EventId: h.id(), SessionId: some(r, h.sessions...), TimeUnixUs: h.at.UnixMicro(), Sequence: uint64(some(r, 0, len(h.events)+1)),
		InteractionId: some(r, h.interactions...),
	}
	if r.IntN(3) > 0 {
		e.OpportunityId = some(r, h.opportunities...)
	}
	if r.IntN(2) == 0 {
		e.Content = &flywheelv1.Content{
			Consent: flywheelv1.Consent(1 + r.IntN(2)), Prompt: h.word("prompt"), Text: h.word("text"), UserText: h.word("user text"),
			Comment: h.word("comment"), Arguments: h.word("arguments"),
		}
	}
	lane := eventlog.Outcome
	switch r.IntN(16) {
	case 0:
		e.OpportunityId = some(r, h.opportunities...)
		e.Payload = &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: h.dimensions()}}
	case 1:
		e.OpportunityId = some(r, h.opportunities...)
		e.Payload = &flywheelv1.Event_NotProduced{NotProduced: &flywheelv1.NotProduced{
			Reason: flywheelv1.NotProducedReason(1 + r.IntN(6)), LatencyUs: h.micros(), Detail: h.word("detail"),
		}}
	case 2:
		e.Payload = &flywheelv1.Event_Generated{Generated: &flywheelv1.Generated{
			Kind: flywheelv1.InteractionKind(r.IntN(8)), LatencyUs: h.micros(), FirstTokenUs: h.micros(), OutputChars: h.number(),
			OutputLines: h.number(), PromptTokens: h.number(), MeanLogprob: some(r, nil, new(float32), new(-r.Float32())),
		}}
	case 3, 4, 5:
		e.Payload = &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: h.dimensions(), LatencyUs: h.micros()}}
	case 6:
		e.Payload = &flywheelv1.Event_NotShown{NotShown: &flywheelv1.NotShown{Reason: flywheelv1.NotShownReason(1 + r.IntN(7)), Dimensions: h.dimensions()}}
	case 7:
		e.Payload = &flywheelv1.Event_Read{Read: &flywheelv1.Read{VisibleUs: h.micros()}}
	case 8, 9:
		ended := &flywheelv1.Ended{
			Outcome: flywheelv1.Outcome(1 + r.IntN(8)), VisibleUs: h.micros(), AcceptedChars: h.number(), AcceptedLines: h.number(),
			DecidedBy: flywheelv1.DecisionSource(r.IntN(6)), Detail: h.word("detail"),
		}
		if ended.Outcome == flywheelv1.Outcome_OUTCOME_SUPERSEDED {
			ended.SupersededBy = some(r, h.interactions...)
		}
		e.Payload = &flywheelv1.Event_Ended{Ended: ended}
	case 10, 11:
		delays := warehouse.RetentionDelays()
		e.Payload = &flywheelv1.Event_Retention{Retention: &flywheelv1.Retention{
			DelayS: some(r, delays[:]...), RetainedChars: h.number(), FourGram: some(r, nil, new(float32), new(r.Float32())), BranchChanged: r.IntN(4) == 0,
		}}
	case 12:
		if r.IntN(3) == 0 {
			e.InteractionId = nil
		}
		e.Payload = &flywheelv1.Event_Feedback{Feedback: &flywheelv1.Feedback{
			Thumb: flywheelv1.Thumb(r.IntN(3)), Rating: some(r, nil, new(uint32), new(r.Uint32N(101))), Author: h.word("author"),
		}}
	case 13:
		if r.IntN(3) == 0 {
			e.InteractionId = nil
		}
		e.Payload = &flywheelv1.Event_TaskOutcome{TaskOutcome: &flywheelv1.TaskOutcome{Result: flywheelv1.TaskResult(1 + r.IntN(9)), Detail: h.word("detail")}}
	case 14:
		e.Payload = &flywheelv1.Event_Alternative{Alternative: &flywheelv1.Alternative{NoEdit: r.IntN(2) == 0, UserChars: h.number(), SettleUs: h.micros()}}
	case 15:
		lane = eventlog.Trace
		h.trace(e)
	}
	h.events = append(h.events, sent{h.tenant, lane, e})
}

// trace makes an event of the trace lane.
func (h *history) trace(e *flywheelv1.Event) {
	r := h.random
	switch r.IntN(4) {
	case 0:
		e.Payload = &flywheelv1.Event_Edit{Edit: &flywheelv1.Edit{
			Document: "d", Version: uint64(h.number()), Offset: uint64(h.number()), RemovedLength: uint64(h.number()),
			InsertedLength: uint64(h.number()), Source: flywheelv1.EditSource(r.IntN(8)),
		}}
	case 1:
		e.Payload = &flywheelv1.Event_ToolCall{ToolCall: &flywheelv1.ToolCall{
			CallId: some(r, "c1", "c2"), Tool: "shell", Decision: flywheelv1.ToolDecision(r.IntN(6)), Status: flywheelv1.ToolStatus(r.IntN(4)),
			DurationUs: h.micros(), ErrorType: h.word("error"),
		}}
	case 2:
		e.Payload = &flywheelv1.Event_Message{Message: &flywheelv1.Message{Role: flywheelv1.Role(1 + r.IntN(4)), Tokens: h.number(), Chars: h.number()}}
	case 3:
		e.Payload = &flywheelv1.Event_DocumentOpened{DocumentOpened: &flywheelv1.DocumentOpened{Document: "d", Version: uint64(h.number()), Length: uint64(h.number())}}
	}
}
