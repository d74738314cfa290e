package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	attemptTimeout   = 2 * time.Second
	retryPause       = 100 * time.Millisecond
	impatientOneOf   = 8 // batches that are given up after two attempts
	twiceOneOf       = 8 // batches that are sent again although they were acknowledged
	impatient        = 2
	patient          = 60
	interactionsEach = 3
	// laterParts is how many parts of interactions wait, so that the parts of one come
	// in different batches.
	laterParts = 12
)

// Load says what one client sends, and to whom.
type Load struct {
	// Seed and Client make the events; clients of one seed must have different numbers.
	Seed, Client uint64
	// Tenant owns the events.
	Tenant string
	// Targets are the addresses of the collectors, at least one. A batch that fails is
	// sent to the next.
	Targets []string
	// Stream sends by CollectStream instead of Collect.
	Stream bool
	// Pace is the time from one batch to the next; a slower answer slows it down.
	Pace time.Duration
}

// Run sends events until ctx ends; the last attempt has until end ends for its answer.
// What fails is no error: it is retried, the same bytes under the same id, and at last
// left as unknown.
func (l *Ledger) Run(ctx, end context.Context, load Load) (err error) {
	s := &sender{load: load, mix: newMix(load.Seed, load.Client), random: rand.New(rand.NewPCG(load.Seed+1, load.Client))}
	for _, target := range load.Targets {
		conn, err := grpc.NewClient(target, append(l.DialOptions(load.Tenant),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: retryPause, Multiplier: 1.5, MaxDelay: time.Second}, MinConnectTimeout: time.Second}))...)
		if err != nil {
			return errors.Join(fmt.Errorf("connect to collector %s: %w", target, err), s.close())
		}
		s.conns = append(s.conns, conn)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	pace := time.NewTicker(load.Pace)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
			s.next(ctx, end)
		}
	}
}

// sender is a client that sends one batch at a time.
type sender struct {
	load   Load
	mix    *mix
	random *rand.Rand
	conns  []*grpc.ClientConn
	at     int
	// parts are those of interactions that are not sent yet.
	parts [][]*flywheelv1.Event
	call  *openStream
}

// openStream is a call of CollectStream that stays open from batch to batch.
type openStream struct {
	grpc.BidiStreamingClient[flywheelv1.CollectStreamRequest, flywheelv1.CollectStreamResponse]
	cancel context.CancelFunc
}

func (s *sender) close() error {
	s.hangUp()
	var errs []error
	for _, conn := range s.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// next makes a batch and sends it until it is acknowledged or given up, or ctx ends.
func (s *sender) next(ctx, end context.Context) {
	id := s.mix.id(time.Now())
	events := s.events()
	attempts := patient
	if s.random.IntN(impatientOneOf) == 0 {
		attempts = impatient
	}
	twice := s.random.IntN(twiceOneOf) == 0
	for range attempts {
		err := s.send(end, id, events)
		if err == nil && !twice {
			return
		}
		if err == nil {
			twice = false
		}
		s.hangUp()
		s.at = (s.at + 1) % len(s.conns)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryPause):
		}
	}
}

// events are those of the next batch: the beginnings of some interactions and what
// came later of earlier ones.
func (s *sender) events() []*flywheelv1.Event {
	var events []*flywheelv1.Event
	for range interactionsEach {
		parts := s.mix.interaction()
		events = append(events, parts[0]...)
		s.parts = append(s.parts, parts[1:]...)
	}
	for len(s.parts) > laterParts {
		events = append(events, s.parts[0]...)
		s.parts = s.parts[1:]
	}
	return events
}

// send makes one attempt.
func (s *sender) send(ctx context.Context, id uuid.UUID, events []*flywheelv1.Event) error {
	if s.load.Stream {
		return s.stream(ctx, &flywheelv1.CollectStreamRequest{BatchId: id[:], Events: events})
	}
	ctx, cancel := context.WithTimeout(s.outgoing(ctx), attemptTimeout)
	defer cancel()
	_, err := flywheelv1.NewCollectorServiceClient(s.conns[s.at]).Collect(ctx, &flywheelv1.CollectRequest{BatchId: id[:], Events: events})
	return err
}

func (s *sender) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, s.load.Tenant)
}

func (s *sender) stream(ctx context.Context, batch *flywheelv1.CollectStreamRequest) error {
	if s.call == nil {
		ctx, cancel := context.WithCancel(s.outgoing(ctx))
		call, err := flywheelv1.NewCollectorServiceClient(s.conns[s.at]).CollectStream(ctx)
		if err != nil {
			cancel()
			return err
		}
		s.call = &openStream{call, cancel}
	}
	late := time.AfterFunc(attemptTimeout, s.call.cancel)
	defer late.Stop()
	if err := s.call.Send(batch); err != nil {
		_, err = s.call.Recv() // why the stream has ended
		return err
	}
	answer, err := s.call.Recv()
	if err != nil {
		return err
	}
	if refused := answer.GetError(); refused != nil {
		return errors.New(refused.GetMessage())
	}
	return nil
}

// hangUp ends the open stream; the next attempt opens one to its own target.
func (s *sender) hangUp() {
	if s.call != nil {
		s.call.cancel()
		_, _ = s.call.Recv() // lets the ledger note what was under way
		s.call = nil
	}
}
