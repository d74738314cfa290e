package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/durationpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/rpc"
)

// Collector takes batches of events and puts the valid ones into the log.
// Its methods are safe for concurrent use.
type Collector struct {
	cfg    Config
	log    Publisher
	logger *slog.Logger
	plan   *eventPlan
	lanes  []*committer // by eventlog.Lane
	// waiting is the memory of the batches in hand: the requests until they are
	// answered and the groups until they are published.
	waiting atomic.Int64
	batches sync.Pool // of *batch
	stats   counters
}

// New returns a collector that publishes to log. It fails when cfg is not valid
// or does not fit the log.
func New(cfg Config, log Publisher, logger *slog.Logger) (*Collector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("validate collector configuration: %w", err)
	}
	if largest := cfg.largestRecord(); largest > log.MaxRecordBytes() {
		return nil, fmt.Errorf("the log takes records of up to %d bytes, the collector would write %d: lower GroupBytes and MaxEventBytes, or raise the log's limit",
			log.MaxRecordBytes(), largest)
	}
	plan, err := compile(cfg.MaxEventBytes, cfg.MaxContentBytes)
	if err != nil {
		return nil, err
	}
	c := &Collector{cfg: cfg, log: log, logger: logger, plan: plan}
	for _, lane := range eventlog.Lanes() {
		room := int64(cfg.MaxWaitingBytes)
		if lane == eventlog.Trace {
			room = room / 4 * 3
		}
		c.lanes = append(c.lanes, &committer{
			lane:        lane,
			log:         log,
			groupBytes:  cfg.GroupBytes,
			maxInFlight: cfg.MaxInFlight,
			timeout:     cfg.PublishTimeout,
			waiting:     &c.waiting,
			room:        room,
			stats:       &c.stats,
			published:   cfg.Published,
			tracer:      cfg.Tracer,
			logger:      logger.With(slog.String("lane", lane.String())),
		})
	}
	return c, nil
}

// Serve serves flywheel.v1.CollectorService, health and reflection on lis until
// ctx ends, and then stops without losing anything: it takes no more batches,
// answers those in hand when the log has acknowledged them, and ends the streams.
// It owns lis. The result is nil after such a stop, [rpc.ErrGraceEnded] when calls
// took longer than StopGrace, and an error when the listener failed.
func (c *Collector) Serve(ctx context.Context, lis net.Listener) error {
	s := &service{Collector: c, stopping: ctx.Done()}
	buffers := &pool{}
	options := append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec(buffers)),
		experimental.BufferPool(buffers),
		grpc.MaxRecvMsgSize(2 * c.cfg.MaxBatchBytes),
	}, c.cfg.ServerOptions...)
	srv := rpc.NewServer(c.logger, options...)
	srv.RegisterService(serviceDesc(), s)
	err := rpc.Serve(ctx, srv, lis, c.cfg.StopGrace)
	s.receivers.Wait()
	for _, lane := range c.lanes {
		lane.wait()
	}
	return err
}

// begin reads a batch and hands its valid events to the log. It owns buffer, but not
// the span, which may be one that records nothing. The result is answered by
// [Collector.finish] once it is decided.
func (c *Collector) begin(tenant string, span trace.Span, buffer mem.Buffer) *batch {
	b, ok := c.batches.Get().(*batch)
	if !ok {
		b = &batch{}
	}
	b.buffer, b.raw = buffer, buffer.ReadOnlyData()
	b.tenant, b.span, b.received = tenant, span, time.Now()
	c.waiting.Add(int64(len(b.raw)))
	b.read(&limits{
		plan:     c.plan,
		bytes:    c.cfg.MaxBatchBytes,
		events:   c.cfg.MaxBatchEvents,
		runBytes: c.partBytes(),
		window:   newWindow(b.received, c.cfg.MaxAge, c.cfg.MaxFutureSkew),
	})
	if b.refused == nil {
		for _, lane := range c.lanes {
			c.commit(b, lane)
		}
	}
	return b
}

// partBytes is the most that the events of one part take, unless it is one event.
func (c *Collector) partBytes() int { return c.cfg.GroupBytes - recordOverhead }

// commit hands the runs of one lane to the log, in parts that fit a group.
func (c *Collector) commit(b *batch, lane *committer) {
	from, size := 0, 0
	hand := func(to int) {
		if size > 0 {
			p := part{lane: lane.lane, from: from, to: to}
			p.group = lane.add(b, p, size)
			b.parts = append(b.parts, p)
		}
		from, size = to, 0
	}
	for i, r := range b.runs {
		if r.lane != lane.lane {
			continue
		}
		if size+r.end-r.start > c.partBytes() {
			hand(i)
		}
		size += r.end - r.start
	}
	hand(len(b.runs))
}

// finish makes the answer of a decided batch: a response, or why the whole batch
// was refused. The response has no part of the request's memory.
func (c *Collector) finish(b *batch) (*flywheelv1.CollectResponse, *refusal) {
	c.stats.batches.Add(1)
	answer, refused := c.outcome(b)
	noteAnswer(b.span, answer, refused)
	if refused != nil {
		c.stats.countRefused(refused)
		return nil, refused
	}
	c.stats.accepted.Add(uint64(answer.GetAccepted()))
	c.stats.countRejected(answer.GetRejected())
	return answer, nil
}

func (c *Collector) outcome(b *batch) (*flywheelv1.CollectResponse, *refusal) {
	if b.refused != nil {
		return nil, b.refused
	}
	invalid := len(b.rejected)
	for _, p := range b.parts {
		switch {
		case p.group == nil, errors.Is(p.group.err, eventlog.ErrFull):
			b.rejectFull(p)
		case p.group.err != nil:
			return nil, unavailable(c.cfg.RetryAfter)
		}
	}
	full := len(b.rejected) - invalid
	if full == int(b.events) {
		return nil, logFull(c.cfg.RetryAfter)
	}
	answer := &flywheelv1.CollectResponse{
		BatchId:  slices.Clone(b.id),
		Accepted: b.events - uint32(len(b.rejected)),
		Rejected: b.rejected,
	}
	if full > 0 {
		b.sortRejected()
		answer.RetryAfter = durationpb.New(c.cfg.RetryAfter)
	}
	return answer, nil
}

// release gives up the memory of a batch, answered or not. The groups have copies
// of its events: those are published all the same.
func (c *Collector) release(b *batch) {
	c.waiting.Add(-int64(len(b.raw)))
	b.buffer.Free()
	clear(b.parts)
	*b = batch{runs: b.runs[:0], parts: b.parts[:0]}
	c.batches.Put(b)
}
