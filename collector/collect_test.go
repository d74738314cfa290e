package collector

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/rpc"
)

func TestCollectStoresEventsAsTheyCame(t *testing.T) {
	t.Parallel()
	log := openLog(t, nil)
	c := serve(t, log, nil)
	before := time.Now().UnixMicro()

	batchID := newID(time.Now())
	batch := protowire.AppendBytes([]byte{0x0a}, batchID)
	sent := map[eventlog.Lane][][]byte{}
	for i, e := range everyPayload(time.Now()) {
		lane := eventlog.Outcome
		if i >= 11 {
			lane = eventlog.Trace
		}
		b := append(encode(t, e), 0xfa, 0x3f, 1, 'u') // and a field that nobody knows
		sent[lane] = append(sent[lane], b)
		batch = protowire.AppendBytes(append(batch, 0x12), b)
	}
	batch = append(batch, 0x7a, 1, 'u')
	response, err := c.collectRaw(metadata.AppendToOutgoingContext(t.Context(), rpc.TenantKey, "acme"), batch)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	total := len(sent[eventlog.Outcome]) + len(sent[eventlog.Trace])
	if int(response.GetAccepted()) != total || len(response.GetRejected()) != 0 || !bytes.Equal(response.GetBatchId(), batchID) {
		t.Fatalf("got %v, want %d events accepted", response, total)
	}
	for lane, events := range sent {
		batches := readLog(t, log, lane)
		if len(batches) != 1 {
			t.Fatalf("%v: %d batches in the log, want 1", lane, len(batches))
		}
		got := batches[0]
		if !slices.EqualFunc(got.events, events, bytes.Equal) {
			t.Errorf("%v: the events in the log are not the bytes that were sent", lane)
		}
		received := got.batch.GetReceivedUnixUs()
		if !bytes.Equal(got.batch.GetBatchId(), batchID) || got.batch.GetTenant() != "acme" || received < before || received > time.Now().UnixMicro() {
			t.Errorf("%v: batch %x of %q received at %d", lane, got.batch.GetBatchId(), got.batch.GetTenant(), received)
		}
	}
	if s := c.Stats(); s.Accepted != uint64(total) || s.Batches != 1 || s.Groups != 2 || s.Bytes == 0 || s.Refused != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestCollectKeepsTheGoodEventsOfABatch(t *testing.T) {
	t.Parallel()
	log := openLog(t, nil)
	c := serve(t, log, nil)
	now := time.Now()
	events := []*flywheelv1.Event{shown(now), shown(now), edit(now), shown(now), edit(now), shown(now)}
	events[1].TimeUnixUs = now.Add(time.Hour).UnixMicro()
	events[3].EventId = []byte("short")
	events[4].GetEdit().Document = ""
	batch := request(events...)
	raw := append(encode(t, batch), 0x12, 2, 0x08, 0xff) // and an event cut short
	response, err := c.collectRaw(t.Context(), raw)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	want := []*flywheelv1.RejectedEvent{
		{Index: 1, EventId: events[1].GetEventId(), Reason: timeInFuture, Field: "time_unix_us"},
		{Index: 3, Reason: notUUID7, Field: "event_id"},
		{Index: 4, EventId: events[4].GetEventId(), Reason: missingField, Field: "edit.document"},
		{Index: 6, Reason: malformed, Field: "event_id"},
	}
	for _, r := range response.GetRejected() {
		if r.GetMessage() == "" {
			t.Errorf("rejected %d has no message", r.GetIndex())
		}
		r.Message = ""
	}
	if response.GetAccepted() != 3 || !slices.EqualFunc(response.GetRejected(), want, func(x, y *flywheelv1.RejectedEvent) bool { return proto.Equal(x, y) }) {
		t.Errorf("got %v, want 3 accepted and %v", response, want)
	}
	if response.GetRetryAfter() != nil {
		t.Errorf("retry_after is %v on rejections that are final", response.GetRetryAfter())
	}
	ids := eventIDs(append(readLog(t, log, eventlog.Outcome), readLog(t, log, eventlog.Trace)...))
	for i, e := range events {
		if got, want := ids[string(e.GetEventId())], map[int]int{0: 1, 2: 1, 5: 1}[i]; got != want {
			t.Errorf("event %d is in the log %d times, want %d", i, got, want)
		}
	}
	if s := c.Stats(); s.Rejected[timeInFuture] != 1 || s.Rejected[malformed] != 1 || s.Accepted != 3 {
		t.Errorf("stats: %+v", s)
	}
}

func TestCollectRefusesBatches(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), func(cfg *Config) { cfg.MaxBatchEvents = 10 })
	noise := make([]byte, 1000)
	_, _ = rand.Read(noise)
	noise[0] = 0xff
	good := encode(t, request(shown(time.Now())))
	id := func(id []byte) []byte {
		return encode(t, &flywheelv1.CollectRequest{BatchId: id, Events: many(1, shown)})
	}
	for name, test := range map[string]struct {
		batch []byte
		field string
		says  string
	}{
		"nothing":          {nil, "batch_id", "missing"},
		"no events":        {encode(t, request()), "events", "at least one"},
		"no batch_id":      {id(nil), "batch_id", "missing"},
		"short batch_id":   {id([]byte{1, 2, 3}), "batch_id", "of 3 bytes"},
		"random batch_id":  {id(make([]byte, 16)), "batch_id", "UUIDv7"},
		"two batch_ids":    {append(good[:18:18], good...), "", "from byte 18 on"},
		"too many events":  {encode(t, request(many(11, shown)...)), "events", "more than 10"},
		"truncated":        {good[:len(good)-1], "", "from byte 18 on"},
		"noise":            {noise, "", "from byte 0 on"},
		"group":            {append(slices.Clone(good), 0x1b, 0x1c), "", "protobuf"},
		"wrong wire types": {[]byte{0x08, 1, 0x10, 1}, "", "from byte 0 on"},
		"field number 0":   {[]byte{0, 0}, "", "from byte 0 on"},
		"too large":        {make([]byte, c.cfg.MaxBatchBytes+1), "", "the limit is 4194304: send fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.collectRaw(t.Context(), test.batch)
			st := status.Convert(err)
			if st.Code() != codes.InvalidArgument || !strings.Contains(st.Message(), test.says) {
				t.Fatalf("got %v, want INVALID_ARGUMENT with %q", err, test.says)
			}
			request, info := detail[*errdetails.BadRequest](st), detail[*errdetails.ErrorInfo](st)
			if violations := request.GetFieldViolations(); len(violations) != 1 || violations[0].GetField() != test.field {
				t.Errorf("BadRequest is %v, want the field %q", request, test.field)
			}
			if info.GetReason() != "INVALID_BATCH" || info.GetDomain() != "flywheel" {
				t.Errorf("ErrorInfo is %v", info)
			}
			if retry := detail[*errdetails.RetryInfo](st); retry != nil {
				t.Errorf("RetryInfo is %v on a batch that can never succeed", retry)
			}
		})
	}
}

// detail returns the detail of a type that a status has, or its zero value.
func detail[T any](st *status.Status) (none T) {
	for _, d := range st.Details() {
		if found, ok := d.(T); ok {
			return found
		}
	}
	return none
}

func TestCollectRefusesWrongTenant(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), nil)
	ctx := metadata.AppendToOutgoingContext(t.Context(), rpc.TenantKey, "No Such Name")
	if _, err := c.client.Collect(ctx, request(shown(time.Now()))); status.Code(err) != codes.InvalidArgument {
		t.Errorf("Collect: got %v, want INVALID_ARGUMENT", err)
	}
	stream, err := c.client.CollectStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("CollectStream: got %v, want INVALID_ARGUMENT", err)
	}
}

// TestCollectSurvivesAHugeBatch: the transport refuses what is more than twice the
// limit without reading it, and says that it is for good: without RetryInfo.
func TestCollectSurvivesAHugeBatch(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), nil)
	_, err := c.collectRaw(t.Context(), make([]byte, 100<<20))
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || !strings.Contains(st.Message(), "larger than max") || len(st.Details()) != 0 {
		t.Errorf("got %v, want RESOURCE_EXHAUSTED that names the sizes", err)
	}
	if _, err := c.client.Collect(t.Context(), request(shown(time.Now()))); err != nil {
		t.Errorf("the next batch: %v", err)
	}
}

func TestCollectTakesGzip(t *testing.T) {
	t.Parallel()
	log := openLog(t, nil)
	c := serve(t, log, nil)
	response, err := c.client.Collect(t.Context(), request(many(100, shown)...), grpc.UseCompressor(gzip.Name))
	if err != nil || response.GetAccepted() != 100 {
		t.Errorf("got %v, %v; want 100 accepted", response, err)
	}
	bomb := make([]byte, 50<<20)
	err = c.conn.Invoke(t.Context(), flywheelv1.CollectorService_Collect_FullMethodName, bomb, &flywheelv1.CollectResponse{}, asIs(), grpc.UseCompressor(gzip.Name))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("50 MB of zeroes in gzip: got %v, want RESOURCE_EXHAUSTED", err)
	}
}

// TestCollectSplitsLargeBatches: a batch larger than a group becomes several
// records of the log, none of them larger than configured.
func TestCollectSplitsLargeBatches(t *testing.T) {
	t.Parallel()
	log := openLog(t, nil)
	c := serve(t, log, nil)
	events := many(8000, shown)
	large := edit(time.Now())
	large.Content.Text = strings.Repeat("x", 1<<20)
	events = append(events, large)
	for i := 7; i < 8000; i += 500 {
		events[i] = edit(time.Now())
	}
	response, err := c.client.Collect(t.Context(), request(events...))
	if err != nil || int(response.GetAccepted()) != len(events) {
		t.Fatalf("got %v, %v; want all accepted", response, err)
	}
	batches := append(readLog(t, log, eventlog.Outcome), readLog(t, log, eventlog.Trace)...)
	for _, b := range batches {
		if len(b.events) > 1 && b.record > c.cfg.GroupBytes || b.record > c.cfg.largestRecord() {
			t.Errorf("a record of %d events has %d bytes", len(b.events), b.record)
		}
	}
	ids := eventIDs(batches)
	for i, e := range events {
		if ids[string(e.GetEventId())] != 1 {
			t.Fatalf("event %d is in the log %d times", i, ids[string(e.GetEventId())])
		}
	}
}

func TestCollectAnswersAsManyRejectionsAsABatchHasEvents(t *testing.T) {
	t.Parallel()
	c := serve(t, openLog(t, nil), nil)
	events := make([]*flywheelv1.Event, c.cfg.MaxBatchEvents)
	for i := range events {
		events[i] = event(time.Now())
	}
	response, err := c.client.Collect(t.Context(), request(events...))
	if err != nil || len(response.GetRejected()) != len(events) || response.GetAccepted() != 0 {
		t.Errorf("got %d rejected, %v; want %d", len(response.GetRejected()), err, len(events))
	}
}

func TestNewRefusesWrongConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}, nil, nil); err == nil || strings.Count(err.Error(), "\n") < 10 {
		t.Errorf("the zero configuration: got %v, want everything that is wrong", err)
	}
	cfg := DefaultConfig()
	cfg.MaxContentBytes, cfg.MaxEventBytes, cfg.GroupBytes = 6<<20, 5<<20, 1
	if _, err := New(cfg, nil, nil); err == nil || strings.Count(err.Error(), "must") != 3 {
		t.Errorf("got %v, want three errors", err)
	}
	if _, err := New(DefaultConfig(), smallLog{}, nil); err == nil || !strings.Contains(err.Error(), "up to 1000 bytes") {
		t.Errorf("a log of small records: got %v", err)
	}
}

// smallLog is a log that takes small records only.
type smallLog struct{}

func (smallLog) Publish(context.Context, eventlog.Lane, []byte) error { return nil }
func (smallLog) MaxRecordBytes() int                                  { return 1000 }
