package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	// probeEvery is how often a probe is sent beside a short load, probePoll how often the
	// rates are asked for: what is measured is at most that much too long. Asking more
	// often is load of its own.
	probeEvery = 250 * time.Millisecond
	probePoll  = 500 * time.Millisecond
	// probeTenant is the tenant of the probes; the load has the default one.
	probeTenant = "probe"
	// probePatience is how long the last probes may take.
	probePatience = 30 * time.Second
)

// freshness is how long it took until an event was visible, while the load ran: from its
// acknowledgement until GetRates counted it, or from sending it until it could be read.
type freshness struct {
	count         int
	p50, p99, max time.Duration
}

// prober sends interactions beside the load, each of a model of its own, and notes when
// the rates have them.
type prober struct {
	collect flywheelv1.CollectorServiceClient
	rates   flywheelv1.FeedbackServiceClient

	// every is how often a probe is sent.
	every time.Duration

	mu sync.Mutex
	// acked is when the probes that are not visible yet were acknowledged, by model.
	acked map[string]time.Time
	took  []probed
}

// probed is when a probe was acknowledged, and how long it then took to be visible.
type probed struct {
	at   time.Time
	took time.Duration
}

// probe probes every so often until stop is called, which waits for the last probes and says how
// those from some time on went.
func (s *system) probe(ctx context.Context, every time.Duration) (p *prober, stop func(from time.Time) (freshness, error), err error) {
	dial := grpc.WithTransportCredentials(insecure.NewCredentials())
	collector, err := grpc.NewClient(s.collector, dial)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to collector: %w", err)
	}
	feedback, err := grpc.NewClient(s.feedback, dial)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to feedback: %w", err)
	}
	p = &prober{
		collect: flywheelv1.NewCollectorServiceClient(collector), rates: flywheelv1.NewFeedbackServiceClient(feedback),
		every: every, acked: map[string]time.Time{},
	}
	ctx = metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, probeTenant)
	sending, stopSending := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- p.send(sending) }()
	seen := make(chan error, 1)
	watching, stopWatching := context.WithCancel(ctx)
	go func() { seen <- p.watch(watching) }()
	return p, func(from time.Time) (freshness, error) {
		defer func() { _, _ = collector.Close(), feedback.Close() }()
		stopSending()
		err := <-sent
		tick := time.NewTicker(probePoll)
		defer tick.Stop()
		for deadline := time.Now().Add(probePatience); err == nil && p.waiting() > 0; <-tick.C {
			if time.Now().After(deadline) {
				err = fmt.Errorf("%d probes are not in the rates %s after the load", p.waiting(), probePatience)
			}
		}
		stopWatching()
		if watched := <-seen; err == nil {
			err = watched
		}
		return p.result(from), err
	}, nil
}

func (p *prober) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acked)
}

// send sends a probe again and again until ctx ends.
func (p *prober) send(ctx context.Context) error {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		model := fmt.Sprint("probe ", n)
		batch, err := probeBatch(model)
		if err != nil {
			return err
		}
		// A probe under way is sent to its end.
		resp, err := p.collect.Collect(context.WithoutCancel(ctx), batch)
		if err != nil {
			return fmt.Errorf("send probe: %w", err)
		}
		if resp.GetAccepted() != 1 {
			return fmt.Errorf("send probe: refused: %v", resp.GetRejected())
		}
		p.mu.Lock()
		p.acked[model] = time.Now()
		p.mu.Unlock()
	}
}

func probeBatch(model string) (*flywheelv1.CollectRequest, error) {
	var ids [5][]byte
	for i := range ids {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make id: %w", err)
		}
		ids[i] = id[:]
	}
	event := &flywheelv1.Event{
		EventId: ids[0], SessionId: ids[1], InteractionId: ids[2], OpportunityId: ids[4], TimeUnixUs: time.Now().UnixMicro(),
		Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{Dimensions: &flywheelv1.Dimensions{Model: model}}},
	}
	return &flywheelv1.CollectRequest{BatchId: ids[3], Events: []*flywheelv1.Event{event}}, nil
}

// watch asks for the rates of the probes' models until ctx ends.
func (p *prober) watch(ctx context.Context) error {
	tick := time.NewTicker(probePoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		resp, err := p.rates.GetRates(ctx, &flywheelv1.GetRatesRequest{GroupBy: []flywheelv1.Dimension{flywheelv1.Dimension_DIMENSION_MODEL}})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ask for the probes' rates: %w", err)
		}
		p.note(resp.GetRows(), time.Now())
	}
}

func (p *prober) note(rows []*flywheelv1.RatesRow, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, row := range rows {
		model := row.GetGroup()[0]
		if at, ok := p.acked[model]; ok {
			p.took = append(p.took, probed{at, now.Sub(at)})
			delete(p.acked, model)
		}
	}
}

// take returns how long the probes took that were seen since the last call.
func (p *prober) take() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var took []time.Duration
	for _, probe := range p.took {
		took = append(took, probe.took)
	}
	p.took = nil
	return took
}

func (p *prober) result(from time.Time) freshness {
	p.mu.Lock()
	defer p.mu.Unlock()
	return freshnessOf(p.took, from)
}

// freshnessOf is how long the probes took that began at some time or later.
func freshnessOf(probes []probed, from time.Time) freshness {
	var took []time.Duration
	for _, probe := range probes {
		if !probe.at.Before(from) {
			took = append(took, probe.took)
		}
	}
	if len(took) == 0 {
		return freshness{}
	}
	slices.Sort(took)
	n := len(took)
	return freshness{count: n, p50: took[n/2], p99: took[n*99/100], max: took[n-1]}
}
