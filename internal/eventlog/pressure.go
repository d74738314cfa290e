package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/nats.go"
)

const (
	// recordOverhead is about what the store adds to a record.
	recordOverhead = 64
	// diskSubject is where the owner of an embedded log tells others about its disk.
	diskSubject = "flywheel.disk"

	defaultReserve = 512 << 20
)

// meter is an estimate of how much of something is used: what the last look found, and
// what this process has published that the look cannot have seen.
type meter struct {
	limit          atomic.Int64 // 0: unknown
	base           atomic.Int64 // used at the last look, less what had ended before it
	started, ended atomic.Int64 // bytes of records
}

func (m *meter) begin(size int64) { m.started.Add(size) }

// end takes note of a record that was begun. refused: it was not stored.
func (m *meter) end(size int64, refused bool) {
	if refused {
		m.started.Add(-size)
	} else {
		m.ended.Add(size)
	}
}

// found sets the meter to the result of a look that began when ended had the value
// seen. Records in flight at that time count as not seen.
func (m *meter) found(used, limit, seen int64) {
	m.base.Store(used - seen)
	m.limit.Store(limit)
}

func (m *meter) estimate() int64 { return m.base.Load() + m.started.Load() }

// disk is what is known of the disk of the embedded log, in this or another process.
type disk struct {
	used    meter
	reserve atomic.Int64
	place   atomic.Pointer[string]
}

// diskState is the answer at diskSubject.
type diskState struct {
	Dir     string `json:"dir"`
	Size    int64  `json:"size"`
	Free    int64  `json:"free"`
	Reserve int64  `json:"reserve"`
	// Stopped is why the log stores nothing. Empty: it does.
	Stopped string `json:"stopped,omitempty"`
}

// free is the estimated free space; false when the disk is not known.
func (d *disk) free() (int64, bool) {
	size := d.used.limit.Load()
	return size - d.used.estimate(), size > 0
}

// low reports whether the free space is below the reserve.
func (d *disk) low() bool {
	free, known := d.free()
	return known && free < d.reserve.Load()
}

// critical is the free space below which nothing is stored: room for what is being
// written, so that the server never meets the end of the disk.
func (d *disk) critical() int64 { return d.reserve.Load() / 4 }

// reserve is the part of a disk to keep free.
func (c Config) reserve(size int64) int64 {
	if c.DiskReserve > 0 {
		return c.DiskReserve
	}
	return min(max(defaultReserve, size/50), size/8)
}

// admit refuses a record for which there should be no room. Trace gives way first: it is
// refused while the outcome lane, which goes on, has a quarter of its size left.
func (l *Log) admit(s *stream) error {
	l.busy.Store(true)
	if free, known := l.disk.free(); known {
		least := l.disk.critical()
		if s.isTrace() {
			least = l.disk.reserve.Load()
		}
		if free < least {
			return fmt.Errorf("%w: the disk of %s has %s free, %s takes nothing below %s: free space there, or let processors catch up",
				ErrFull, *l.disk.place.Load(), size(free), s.name, size(least))
		}
	}
	if !s.isTrace() {
		return nil
	}
	for _, outcome := range l.lanes[Outcome].own() {
		if used, limit := outcome.used.estimate(), outcome.used.limit.Load(); limit > 0 && used > limit/4*3 {
			return fmt.Errorf("%w: trace gives way to outcome, of which %s holds %s of %s: let processors catch up, or raise the lane's size",
				ErrFull, outcome.name, size(used), size(limit))
		}
	}
	return nil
}

func (s *stream) isTrace() bool { return s.consumed && s.lane == Trace }

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// look asks how full the lanes and the disk are.
func (l *Log) look(ctx context.Context) error {
	ctx, cancel := request(ctx)
	defer cancel()
	errs := []error{l.lookAtDisk(ctx)}
	for _, s := range l.laneStreams() {
		seen := s.used.ended.Load()
		_, stored, err := l.streamInfo(ctx, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.used.found(int64(stored.State.Bytes), stored.Config.MaxBytes, seen)
	}
	return errors.Join(errs...)
}

func (l *Log) lookAtDisk(ctx context.Context) error {
	seen := l.disk.used.ended.Load()
	state, err := l.diskState(ctx)
	if err != nil {
		return err
	}
	if l.server == nil {
		l.noteStopped(state.Stopped)
	}
	if state.Size == 0 {
		return nil
	}
	l.disk.place.Store(&state.Dir)
	l.disk.reserve.Store(state.Reserve)
	l.disk.used.found(state.Size-state.Free, state.Size, seen)
	return nil
}

// noteStopped keeps what the owner of an embedded log elsewhere says.
func (l *Log) noteStopped(why string) {
	var reason *error
	if why != "" {
		reason = new(refusal(errors.New(why)))
	}
	for _, s := range l.streams() {
		s.stopped.Store(reason)
	}
}

// diskState reads the state of the embedded log's disk, here or from its owner. The
// size is 0 when that is nobody's business: the log is not Flywheel's.
func (l *Log) diskState(ctx context.Context) (diskState, error) {
	if l.server != nil {
		size, free, err := diskSpace(l.cfg.Dir)
		if err != nil {
			return diskState{}, fmt.Errorf("read free space of %s: %w", l.cfg.Dir, err)
		}
		state := diskState{Dir: l.cfg.Dir, Size: size, Free: free, Reserve: l.cfg.reserve(size)}
		for _, s := range l.streams() {
			if err := s.refuses(); err != nil {
				state.Stopped = err.Error()
			}
		}
		return state, nil
	}
	if l.consuming.nc.ConnectedServerName() != serverName {
		return diskState{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answer, err := l.consuming.nc.RequestWithContext(ctx, diskSubject, nil)
	if errors.Is(err, nats.ErrNoResponders) { // it is just starting
		return diskState{}, nil
	}
	if err != nil {
		return diskState{}, fmt.Errorf("ask for free space: %w", unavailable(err))
	}
	var state diskState
	if err := json.Unmarshal(answer.Data, &state); err != nil {
		return diskState{}, fmt.Errorf("read free space of the event log: %w", err)
	}
	return state, nil
}

// serveDisk answers other processes that ask for the free space.
func (l *Log) serveDisk() error {
	if l.server == nil {
		return nil
	}
	_, err := l.consuming.nc.Subscribe(diskSubject, func(question *nats.Msg) {
		state, err := l.diskState(context.Background())
		if err != nil {
			return // the one who asked goes by what it knew
		}
		if answer, err := json.Marshal(state); err == nil {
			_ = question.Respond(answer)
		}
	})
	if err != nil {
		return fmt.Errorf("serve free space: %w", err)
	}
	return nil
}
