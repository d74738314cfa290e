package processor_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/processor"
)

func shownEvent(model string) *flywheelv1.Event {
	now := time.Now()
	return &flywheelv1.Event{
		EventId: id7(now), SessionId: id7(now), OpportunityId: id7(now), InteractionId: id7(now), TimeUnixUs: now.UnixMicro(),
		Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: &flywheelv1.Dimensions{Model: model}}},
	}
}

// TestRefusedByClickHouse hides events that a constraint refuses among many that it
// does not: those end as dead letters, one each, and all others are stored.
func TestRefusedByClickHouse(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 1))
	good := sessions(random, 60)
	all := slices.Clone(good)
	const poison = 5
	for range poison {
		all = append(all, sent{"acme", eventlog.Outcome, shownEvent("poison")})
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	p := newPipeline(t)
	p.exec("ALTER TABLE interactions ADD CONSTRAINT taste CHECK model != 'poison'")
	p.publishAll(random, all)
	proc, _ := p.run()
	p.drained()
	if diff := cmp.Diff(recounted(t, good), fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	letters := p.deadLetters()
	if len(letters) != poison || proc.Stats().DeadLettered != poison {
		t.Fatalf("%d dead letters, stats %+v", len(letters), proc.Stats())
	}
	for _, letter := range letters {
		var batch flywheelv1.LogBatch
		if err := batch.UnmarshalVT(letter.Batch); err != nil {
			t.Fatal(err)
		}
		if letter.Tenant != "acme" || letter.Lane != eventlog.Outcome || letter.Sequence == 0 || !strings.Contains(letter.Reason, "taste") {
			t.Errorf("letter %+v", letter)
		}
		if len(batch.Events) != 1 || batch.Events[0].GetShown().GetDimensions().GetModel() != "poison" || batch.Tenant != "acme" || len(batch.BatchId) == 0 || batch.ReceivedUnixUs == 0 {
			t.Errorf("batch %v", &batch)
		}
	}
}

// TestUndecodable sends bytes that are no event, no batch, no record, and events
// that no row can hold, between good ones.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	good := []sent{{"acme", eventlog.Outcome, shownEvent("a")}, {"acme", eventlog.Outcome, shownEvent("b")}, {"acme", eventlog.Outcome, shownEvent("c")}}
	unknown := shownEvent("d")
	unknown.GetShown().Dimensions.Surface = 99
	var wires [][]byte
	for _, e := range []*flywheelv1.Event{good[0].event, unknown, good[1].event, unknown, good[2].event} {
		wire, err := e.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		wires = append(wires, wire)
	}
	garbage := []byte{0xff, 0xff, 0xff}
	bytesField := func(number byte, value []byte) []byte {
		return slices.Concat([]byte{number<<3 | 2, byte(len(value)) | 0x80, byte(len(value) >> 7)}, value)
	}
	tenant := bytesField(3, []byte("acme"))
	var batch []byte
	for _, wire := range slices.Insert(slices.Clone(wires), 1, garbage) {
		batch = append(batch, bytesField(2, wire)...)
	}
	torn := slices.Concat(tenant, bytesField(2, wires[0]), bytesField(2, wires[2])[:20])
	p.publishBytes(eventlog.Outcome, bytesField(1, append(batch, tenant...)))
	p.publishBytes(eventlog.Outcome, slices.Concat(bytesField(1, torn), bytesField(1, append(tenant, bytesField(2, wires[4])...))))
	p.publishBytes(eventlog.Outcome, garbage)
	p.publishBytes(eventlog.Trace, []byte{})

	proc, _ := p.run()
	p.drained()
	if diff := cmp.Diff(recounted(t, good), fingerprints(t, p.db)); diff != "" {
		t.Errorf("-recounted +processed:\n%s", diff)
	}
	var got []string
	for _, letter := range p.deadLetters() {
		got = append(got, letter.Tenant+": "+letter.Reason)
	}
	want := []string{
		"acme: the event cannot be decoded: unexpected EOF",
		"acme: surface 99 is not known to this processor: a newer one is needed",
		"acme: the batch is no LogBatch",
		": the record is no LogRecord",
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if n := proc.Stats().DeadLettered; n != 5 {
		t.Errorf("%d events dead lettered, want 5", n)
	}
}

// TestFullDeadLetterStream checks that a record whose events can neither be stored
// nor set aside stays in the log, and that the others do not wait for it.
func TestFullDeadLetterStream(t *testing.T) {
	t.Parallel()
	cfg := eventlog.DefaultConfig()
	cfg.DeadLetter.MaxBytes = 1 << 20
	p := newPipeline(t)
	p.log = newLog(t, cfg)
	send := func(e *flywheelv1.Event) {
		p.publish(eventlog.Outcome, &flywheelv1.LogBatch{Tenant: "acme", Events: []*flywheelv1.Event{e}})
	}
	for range 3 {
		e := shownEvent("unknown")
		e.GetShown().Dimensions.Surface = 99
		e.Content = &flywheelv1.Content{Consent: 1, Text: strings.Repeat("x", 600_000)}
		send(e)
	}
	good := shownEvent("good")
	send(good)
	proc, _ := p.run(func(c *processor.Config) { c.MaxBytes = 1 })
	p.eventually("the good event is stored", func() bool { return p.number("SELECT count() FROM interactions") == 1 })
	p.eventually("all but two records are acknowledged", func() bool {
		pending, err := p.log.Pending(t.Context(), eventlog.Outcome)
		return err == nil && pending == 2 && proc.Stats().DeadLettered == 1
	})
	if letters := p.deadLetters(); len(letters) != 1 {
		t.Errorf("%d dead letters, want 1", len(letters))
	}
}
