package replay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// flushTime is how long an interrupted session may take to get its events away.
const flushTime = 10 * time.Second

// typeAll runs all sessions, several at once, and waits until what they emitted is
// acknowledged.
func (r *run) typeAll(ctx context.Context, target string, options []flywheel.Option) error {
	group, ctx := errgroup.WithContext(ctx)
	for range min(r.cfg.Workers, r.plan.sessions) {
		group.Go(func() error {
			for ctx.Err() == nil {
				i := int(r.next.Add(1)) - 1
				if i >= r.plan.sessions {
					break
				}
				if err := r.typeOne(ctx, i, target, options); err != nil {
					return fmt.Errorf("type session %d: %w", i, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// typeOne runs one session with an SDK of its own, as an editor has, whose clock is
// virtual and whose ids are drawn from the session's own source.
func (r *run) typeOne(ctx context.Context, i int, target string, options []flywheel.Option) (err error) {
	clock := &timeline{}
	options = append(slices.Clip(options),
		flywheel.WithClock(clock.read), flywheel.WithRandom(rand.NewChaCha8(r.identity.of(i))),
		flywheel.WithBlockWhenFull(), flywheel.WithContent(r.cfg.Content), flywheel.WithLogger(r.log))
	sdk, err := flywheel.Dial(target, options...) //nolint:contextcheck // an SDK ends when it is closed
	if err != nil {
		return fmt.Errorf("open SDK: %w", err)
	}
	leave := closeInTime(ctx, sdk)
	a, rng := r.assign(i)
	result, err := newSession(r.tree, r.cfg, a, rng, clock).run(ctx, sdk, r.firstFile(i))
	err = errors.Join(err, leave())
	r.add(result, sdk.Stats())
	return err
}

// closeInTime returns the function that closes the SDK once the session is over: it
// waits until all is acknowledged. When ctx ends, whatever waits on a collector that
// does not answer, the session included, is released after flushTime.
func closeInTime(ctx context.Context, sdk *flywheel.Client) func() error {
	patience, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	over, released := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(released)
		timer := time.NewTimer(flushTime)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			giveUp()
			// What it drops is in the statistics.
			_ = sdk.Close(patience)
		}
	})
	return func() error {
		err := sdk.Close(patience)
		close(over)
		if !stop() {
			<-released
		}
		giveUp()
		if err != nil {
			return fmt.Errorf("close SDK: %w", err)
		}
		return nil
	}
}

// add takes a session and its SDK's statistics into the tally.
func (r *run) add(result *sessionResult, stats flywheel.Stats) {
	r.mu.Lock()
	r.tally.add(result)
	r.tally.Delivery.add(stats)
	r.mu.Unlock()
	r.progress.made(int(result.counts.Suggestions))
}

// assign decides who types session i with which model. Users keep their model.
func (r *run) assign(i int) (assignment, *rand.Rand) {
	rng := rand.New(rand.NewPCG(r.cfg.Seed, hash(r.cfg.Seed, "session", fmt.Sprint(i))))
	turn := i % r.plan.users
	user := fmt.Sprintf("user-%04d", r.users[turn])
	model := r.models[turn%len(r.models)]
	return assignment{
		user: user, model: model, arm: r.cfg.arm(model),
		eager: hash(r.cfg.Seed, "setting", user)%2 == 0,
		quota: r.plan.quotas[i],
		start: r.plan.start(i, rng.Float64()),
	}, rng
}

// firstFile returns the file with which session i begins: sessions share the files
// out evenly, and meet only when there are fewer files than they need.
func (r *run) firstFile(i int) int { return i * len(r.tree.retyped) / r.plan.sessions }
