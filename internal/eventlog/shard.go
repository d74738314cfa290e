package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

// shards are the streams of one lane. Shard 0 has the lane's names on the server, the
// others have their number behind it.
type shards struct {
	lane   Lane
	limits StreamLimits
	// published is how many records were given a shard: they take turns.
	published atomic.Uint64

	mu      sync.Mutex
	streams []*stream // by shard; replaced, never changed
}

func newShards(cfg Config, lane Lane, limits StreamLimits) *shards {
	s := &shards{lane: lane, limits: limits}
	for shard := range cfg.Shards {
		own := s.newStream(cfg, shard)
		own.own = true
		s.streams = append(s.streams, own)
	}
	return s
}

func (s *shards) newStream(cfg Config, shard int) *stream {
	name, subject := s.stem(), "flywheel."+s.lane.String()
	if shard > 0 {
		name, subject = fmt.Sprintf("%s_%d", name, shard), fmt.Sprintf("%s.%d", subject, shard)
	}
	return &stream{
		name: name, subject: subject, filter: subject, limits: s.limits, consumed: true, lane: s.lane, shard: shard,
		room: semaphore.NewWeighted(cfg.InFlightBytes),
	}
}

// stem is the name of shard 0 on the server.
func (s *shards) stem() string { return streamPrefix + strings.ToUpper(s.lane.String()) }

// number returns which shard has a name on the server; false when it is another's.
func (s *shards) number(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, s.stem())
	if !ok || rest == "" {
		return 0, ok
	}
	shard, err := strconv.Atoi(strings.TrimPrefix(rest, "_"))
	return shard, err == nil && rest == fmt.Sprintf("_%d", shard) && shard > 0
}

// all returns the shards that this process knows of, in order.
func (s *shards) all() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// own returns the shards that records are published to.
func (s *shards) own() []*stream {
	all := s.all()
	for i, one := range all {
		if !one.own {
			return all[:i]
		}
	}
	return all
}

// set makes the shards those that the server has, and one's own.
func (s *shards) set(cfg Config, names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	streams := slices.DeleteFunc(slices.Clone(s.streams), func(one *stream) bool {
		return !one.own && !slices.Contains(names, one.name)
	})
	for _, name := range names {
		shard, ok := s.number(name)
		if ok && !slices.ContainsFunc(streams, func(one *stream) bool { return one.shard == shard }) {
			streams = append(streams, s.newStream(cfg, shard))
		}
	}
	slices.SortFunc(streams, func(a, b *stream) int { return a.shard - b.shard })
	s.streams = streams
}

// discover finds the shards that other processes have created, or somebody removed.
func (l *Log) discover(ctx context.Context) error {
	var names []string
	listed := l.consuming.js.StreamNames(ctx, jetstream.WithStreamListSubject("flywheel.>"))
	for name := range listed.Name() {
		names = append(names, name)
	}
	if err := listed.Err(); err != nil {
		return fmt.Errorf("list streams: %w", unavailable(err))
	}
	for _, lane := range l.lanes {
		lane.set(l.cfg, names)
	}
	return nil
}

// laneShards returns the shards of a lane.
func (l *Log) laneShards(lane Lane) (*shards, error) {
	if int(lane) >= len(l.lanes) {
		return nil, fmt.Errorf("unknown %s", lane)
	}
	return l.lanes[lane], nil
}

// shardOf returns one shard of a lane.
func (l *Log) shardOf(lane Lane, shard int) (*stream, error) {
	of, err := l.laneShards(lane)
	if err != nil {
		return nil, err
	}
	for _, s := range of.all() {
		if s.shard == shard {
			return s, nil
		}
	}
	return nil, fmt.Errorf("the log has no shard %d of lane %s", shard, lane)
}

// laneStreams returns the shards of all lanes, the most important lane first.
func (l *Log) laneStreams() (all []*stream) {
	for _, lane := range l.lanes {
		all = append(all, lane.all()...)
	}
	return all
}

// streams returns all streams that this process knows of.
func (l *Log) streams() []*stream { return append(l.laneStreams(), l.deadLetters) }

// spread publishes with one shard of a lane after the other, as long as they have no
// room.
func (l *Log) spread(of *shards, publish func(*stream) error) error {
	own := of.own()
	turn := of.published.Add(1)
	var err error
	for i := range uint64(len(own)) {
		err = publish(own[(turn+i)%uint64(len(own))])
		if !errors.Is(err, ErrFull) {
			return err
		}
	}
	return err
}
