package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ensure creates a stream and its consumer, or brings their settings up to date. It
// changes nothing when they are.
func (l *Log) ensure(ctx context.Context, s *stream) error {
	if err := l.ensureStream(ctx, s); err != nil {
		return err
	}
	if !s.consumed {
		return nil
	}
	if _, err := l.ensureConsumer(ctx, s); err != nil {
		return err
	}
	return nil
}

// adopt takes a stream as it is.
func (l *Log) adopt(ctx context.Context, s *stream) error {
	_, stored, err := l.streamInfo(ctx, s)
	if err != nil {
		return err
	}
	s.limits = StreamLimits{MaxBytes: stored.Config.MaxBytes, MaxAge: stored.Config.MaxAge}
	return nil
}

func (l *Log) ensureStream(ctx context.Context, s *stream) error {
	js := l.consuming.js
	want := jetstream.StreamConfig{
		Name:        s.name,
		Description: "Flywheel event log",
		Subjects:    []string{s.filter},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Storage:     jetstream.FileStorage,
		MaxBytes:    s.limits.MaxBytes,
		MaxAge:      s.limits.MaxAge,
		Replicas:    l.cfg.Replicas,
		AllowDirect: true,
	}
	existing, err := js.Stream(ctx, s.name)
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("look for stream %s: nobody answers, is JetStream enabled on the server? %w", s.name, err)
	}
	if err == nil && fits(existing.CachedInfo().Config, want) {
		return nil
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		// When several create the same stream at once, all succeed. One that was
		// created with other settings in the meantime can be updated now.
		if _, err = js.CreateStream(ctx, want); err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("create stream %s: %w", s.name, err)
		}
	} else if err != nil {
		return fmt.Errorf("look for stream %s: %w", s.name, err)
	}
	if _, err = js.UpdateStream(ctx, want); err != nil {
		return fmt.Errorf("stream %s exists with settings that cannot be changed to Flywheel's: %w", s.name, err)
	}
	l.log.Info("event log settings changed", slog.String("stream", s.name),
		slog.Int64("maxBytes", want.MaxBytes), slog.Duration("maxAge", want.MaxAge), slog.Int("replicas", want.Replicas))
	return nil
}

// fits reports whether a stream has the settings that matter to Flywheel. One that
// has is not updated: nats-server 2.15.2 has a data race between an update and the
// creation of a consumer by another process.
func fits(have, want jetstream.StreamConfig) bool {
	return slices.Equal(have.Subjects, want.Subjects) && have.Retention == want.Retention &&
		have.Discard == want.Discard && have.Storage == want.Storage && have.MaxBytes == want.MaxBytes &&
		have.MaxAge == want.MaxAge && have.Replicas == want.Replicas && have.AllowDirect == want.AllowDirect
}

// ensureConsumer leaves a consumer that has the settings alone: to write them again
// takes room, and a log is opened on a full disk too.
func (l *Log) ensureConsumer(ctx context.Context, s *stream) (jetstream.Consumer, error) {
	want := jetstream.ConsumerConfig{
		Durable:       durable,
		Description:   "Flywheel processors",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       l.cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
	}
	existing, err := l.consuming.js.Consumer(ctx, s.name, durable)
	if err == nil {
		have := existing.CachedInfo().Config
		if have.AckPolicy == want.AckPolicy && have.AckWait == want.AckWait && have.MaxDeliver == want.MaxDeliver &&
			have.MaxAckPending == want.MaxAckPending && have.DeliverPolicy == want.DeliverPolicy {
			return existing, nil
		}
	}
	consumer, err := l.consuming.js.CreateOrUpdateConsumer(ctx, s.name, want)
	if err != nil {
		return nil, fmt.Errorf("create consumer of %s: %w", s.name, err)
	}
	return consumer, nil
}
