package trainset

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

const (
	running   = flywheelv1.TrainingSetState_TRAINING_SET_STATE_RUNNING
	ready     = flywheelv1.TrainingSetState_TRAINING_SET_STATE_READY
	failed    = flywheelv1.TrainingSetState_TRAINING_SET_STATE_FAILED
	cancelled = flywheelv1.TrainingSetState_TRAINING_SET_STATE_CANCELLED
	deleted   = flywheelv1.TrainingSetState_TRAINING_SET_STATE_DELETED

	// noteEvery is how often a job notes how far it is.
	noteEvery = time.Second
	// cleanTimeout bounds the removal of what a job leaves behind.
	cleanTimeout = 30 * time.Second
)

// errNotOurs ends a job whose training set somebody cancelled or took over.
var errNotOurs = errors.New("the training set was cancelled or taken over")

// Run makes training sets until ctx ends: those that were asked for, and those of servers
// that died. What is not ready then is made again by whoever runs next.
func (s *Service) Run(ctx context.Context) error {
	jobs, jobCtx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, s.cfg.Concurrent)
	tick := time.NewTicker(s.cfg.TakeOver / 4)
	defer tick.Stop()
	for {
		waiting, err := sets(ctx, s.db, "state = 'running'")
		if err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "cannot look for training sets to make, will try again", slog.Any("error", err))
		}
		for _, set := range waiting {
			begun := set.progress.GetStep() != stepWaiting
			if begun && time.Since(set.updated) < s.cfg.TakeOver {
				continue
			}
			if j := s.begin(jobCtx, set); j != nil {
				jobs.Go(func() error {
					j.run(slots)
					return nil
				})
			}
		}
		select {
		case <-ctx.Done():
			return jobs.Wait()
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// job makes one training set.
type job struct {
	service *Service
	db      *warehouse.DB
	log     *slog.Logger
	ctx     context.Context //nolint:containedctx // of the job, which outlives every call
	cancel  context.CancelFunc
	plan    *plan

	mu  sync.Mutex
	set *set
}

// begin returns a job for a training set, or nil when this process makes it already.
func (s *Service) begin(ctx context.Context, set *set) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[set.id] != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	s.running[set.id] = cancel
	set.table = tablePrefix(set.id) + strings.ReplaceAll(uuid.NewString(), "-", "")
	return &job{
		service: s, db: s.db, ctx: ctx, cancel: cancel, set: set,
		log: s.log.With(slog.String("training_set", set.id.String()), slog.String("tenant", set.tenant)),
	}
}

// tablePrefix begins the names of the tables of a training set.
func tablePrefix(id uuid.UUID) string {
	return "training_set_" + strings.ReplaceAll(id.String(), "-", "") + "_"
}

// run makes the set and notes what came of it.
func (j *job) run(slots chan struct{}) {
	defer func() {
		j.cancel()
		j.service.mu.Lock()
		delete(j.service.running, j.set.id)
		j.service.mu.Unlock()
	}()
	j.set.progress = flywheelv1.TrainingSetProgress{Step: stepQueued}
	if err := j.set.store(j.ctx, j.db); err != nil {
		j.log.Warn("cannot begin a training set, will try again", slog.Any("error", err))
		return
	}
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		j.beat()
	}()
	err := j.wait(slots)
	if err == nil {
		err = j.make(j.ctx)
		<-slots
	}
	stopped := j.ctx.Err() != nil
	j.cancel()
	<-beating
	j.end(err, stopped)
}

// wait waits for a slot.
func (j *job) wait(slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-j.ctx.Done():
		return j.ctx.Err()
	}
}

// beat notes how far the job is, again and again, until it ends.
func (j *job) beat() {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		err := j.note(j.ctx, running)
		switch {
		case errors.Is(err, errNotOurs):
			j.cancel()
			return
		case err != nil && j.ctx.Err() == nil:
			j.log.Warn("cannot note the progress of a training set, will try again", slog.Any("error", err))
		}
	}
}

// note stores how far the job is, or how it ended, unless somebody else ended it or took
// it over.
func (j *job) note(ctx context.Context, state flywheelv1.TrainingSetState) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	now, err := find(ctx, j.db, j.set.tenant, j.set.id.String())
	if err != nil {
		return err
	}
	if now.state != running || now.table != j.set.table {
		return errNotOurs
	}
	j.set.state = state
	return j.set.store(ctx, j.db)
}

// change changes what is to be noted.
func (j *job) change(change func(s *set)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(j.set)
}

// end notes what came of the job, and removes what is not needed any more. A job that was
// stopped with its server is left to the next one.
func (j *job) end(err error, stopped bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), cleanTimeout)
	defer cancel()
	kept := j.set.table
	if err != nil {
		kept = ""
	}
	if !stopped {
		state := ready
		j.change(func(s *set) {
			s.progress.Step, s.progress.EtaS = "", 0
			if err != nil {
				state, s.problem = failed, err.Error()
			}
		})
		if noting := j.note(ctx, state); noting != nil {
			err, kept = errors.Join(err, noting), ""
		}
		if err != nil {
			j.log.Error("cannot make training set", slog.Any("error", err))
		}
	}
	mine := j.set.table
	if err == nil && !stopped {
		mine = tablePrefix(j.set.id) // also what servers left that died while they made it
	}
	if err := j.db.DropTables(ctx, mine, kept); err != nil {
		j.log.Warn("tables of a training set are left behind", slog.Any("error", err))
	}
}
