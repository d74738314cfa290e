package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Status is what the log's server says of it at one moment.
type Status struct {
	// ServerVersion is the version of NATS.
	ServerVersion string
	// SyncsAlways is set when the server is Flywheel's own, which syncs every record
	// before it confirms. Unset: it is another, and may or may not.
	SyncsAlways bool
	// Clock is the server's time, Asked the one here in the middle of the question, and
	// RoundTrip how long the answer took.
	Clock, Asked time.Time
	RoundTrip    time.Duration
	// Streams are the shards of the lanes, and that of the dead letters.
	Streams []StreamStatus
}

// StreamStatus is the state of one stream.
type StreamStatus struct {
	Name   string
	Limits StreamLimits
	// Replicas is how many copies it should have; Missing names those that are offline or
	// behind.
	Replicas int
	Missing  []string
	// Records and Bytes are what it holds. Last is the sequence of the newest record.
	Records, Bytes, Last uint64
	// Consumed is set when processors read it. Unprocessed is then how many records they
	// have not acknowledged, and Oldest when the first of those was stored (zero: none).
	Consumed    bool
	Unprocessed uint64
	Oldest      time.Time
}

// Status asks the server for the state of all streams. It changes nothing.
func (l *Log) Status(ctx context.Context) (Status, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	status := Status{
		ServerVersion: l.consuming.nc.ConnectedServerVersion(),
		SyncsAlways:   l.consuming.nc.ConnectedServerName() == serverName,
	}
	if err := l.discover(ctx); err != nil {
		return Status{}, err
	}
	for _, s := range l.streams() {
		asked := time.Now()
		handle, info, err := l.streamInfo(ctx, s)
		if err != nil {
			return Status{}, err
		}
		status.RoundTrip = time.Since(asked)
		status.Asked, status.Clock = asked.Add(status.RoundTrip/2), info.TimeStamp
		one := streamStatus(info)
		if one.Consumed = s.consumed; s.consumed {
			if err := l.unprocessed(ctx, handle, s, &one); err != nil {
				return Status{}, fmt.Errorf("read state of stream %s: %w", s.name, err)
			}
		}
		status.Streams = append(status.Streams, one)
	}
	return status, nil
}

func streamStatus(info *jetstream.StreamInfo) StreamStatus {
	status := StreamStatus{
		Name:     info.Config.Name,
		Limits:   StreamLimits{MaxBytes: info.Config.MaxBytes, MaxAge: info.Config.MaxAge},
		Replicas: info.Config.Replicas,
		Records:  info.State.Msgs, Bytes: info.State.Bytes, Last: info.State.LastSeq,
	}
	if info.Cluster != nil {
		for _, peer := range info.Cluster.Replicas {
			if peer.Offline || !peer.Current {
				status.Missing = append(status.Missing, peer.Name)
			}
		}
	}
	return status
}

// unprocessed adds what processors have not acknowledged.
func (l *Log) unprocessed(ctx context.Context, handle jetstream.Stream, s *stream, status *StreamStatus) error {
	info, err := l.consumerInfo(ctx, s)
	if err != nil {
		return err
	}
	status.Unprocessed = uint64(max(info.NumAckPending, 0)) + info.NumPending
	if status.Unprocessed == 0 {
		return nil
	}
	oldest, err := handle.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(s.filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // acknowledged or dropped in the meantime
	}
	if err != nil {
		return unavailable(err)
	}
	status.Oldest = oldest.Time
	return nil
}
