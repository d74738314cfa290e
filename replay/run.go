// Package replay is an agent that needs no model service: it retypes real source
// code, lets small language models suggest the rest of each line, and decides every
// outcome by what the author of the code really wrote. Its acceptance rates are
// measured, not invented. DESIGN.md states the rules.
package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/replay/predict"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// Run retypes source code and sends what happens to a collector. It returns when
// every event is acknowledged, with its own count of them.
//
// When ctx ends, Run stops typing, gives the events under way a few seconds and
// returns the tally of what was done, marked as interrupted, and no error. With any
// other error the tally is nil.
//
// progress, where not nil, is told how many interactions of all are done, from one
// goroutine at a time; with Repeat or Shuffle they count once when made and once
// when sent.
func Run(ctx context.Context, cfg Config, log *slog.Logger, progress func(done, total int)) (*Tally, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("replay settings: %w", err)
	}
	plan, err := cfg.plan(time.Now())
	if err != nil {
		return nil, err
	}
	tree, err := openTree(ctx, cfg)
	if err != nil {
		return nil, err
	}
	corpus, err := tree.corpus(ctx, cfg.TrainBytes)
	if err != nil {
		return nil, err
	}
	r := &run{
		cfg: cfg, plan: plan, tree: tree, log: log,
		identity: newIdentity(cfg, plan, tree), progress: newMeter(plan, cfg, progress),
		models: cfg.models(corpus),
		tally: &Tally{
			Seed: cfg.Seed, Source: tree.root, BaseTime: plan.base, EndTime: plan.end,
			TrainingFiles: len(corpus), Users: plan.users, Models: []ModelTally{}, Total: *newCounts(), Events: map[string]uint64{},
		},
	}
	r.users = make([]int, plan.users)
	for i := range r.users {
		r.users[i] = i
	}
	shuffle(cfg.Seed, "users", r.users)
	send := r.direct
	if cfg.recorded() {
		send = r.recorded
	}
	err = send(ctx)
	if r.tally.Interrupted = ctx.Err() != nil; err != nil && !r.tally.Interrupted {
		return nil, err
	}
	return r.tally, nil
}

// run is one replay under way.
type run struct {
	cfg      Config
	plan     plan
	tree     *tree
	log      *slog.Logger
	identity identity
	models   []predict.Model
	progress *meter
	// users holds the numbers of the users in the order in which they are dealt to
	// the models.
	users []int

	next  atomic.Int64
	mu    sync.Mutex
	tally *Tally
}

// direct runs the sessions with SDKs that send to the collector.
func (r *run) direct(ctx context.Context) error {
	var options []flywheel.Option
	if r.cfg.Tenant != "" {
		options = append(options, flywheel.WithTenant(r.cfg.Tenant))
	}
	if r.cfg.Credentials != nil {
		options = append(options, flywheel.WithTransportCredentials(r.cfg.Credentials))
	}
	return r.typeAll(ctx, r.cfg.Target, options)
}

// recorded runs the sessions with SDKs that send to a recorder, and then sends what
// was recorded to the collector.
func (r *run) recorded(ctx context.Context) (err error) {
	recorder := newRecorder()
	err = r.typeAll(ctx, "passthrough:///recorder", []flywheel.Option{
		flywheel.WithTransportCredentials(insecure.NewCredentials()), flywheel.WithDialOptions(recorder.dialOption()),
	})
	if err = errors.Join(err, recorder.close()); err != nil {
		return err
	}
	if r.tally.Delivery.Rejected+r.tally.Delivery.Dropped > 0 {
		return fmt.Errorf("record events: %+v", r.tally.Delivery)
	}
	r.tally.Delivery = Delivery{}
	conn, err := r.dial()
	if err != nil {
		return fmt.Errorf("dial collector: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	resender := &resender{client: flywheelv1.NewCollectorServiceClient(conn)}
	err = resender.send(ctx, r.cfg, recorder.take(), r.progress.sent)
	r.tally.Delivery = resender.delivery
	return err
}

// dial connects to the collector as the SDK would.
func (r *run) dial() (*grpc.ClientConn, error) {
	secure := r.cfg.Credentials
	if secure == nil {
		secure = credentials.NewTLS(nil)
		if loopback(r.cfg.Target) {
			secure = insecure.NewCredentials()
		}
	}
	return grpc.NewClient(r.cfg.Target, grpc.WithTransportCredentials(secure))
}

func loopback(target string) bool {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
