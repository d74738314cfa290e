package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestEmbeddedLogSyncs: the server is told to sync before it confirms. That it does
// is the server's promise (and was seen by counting its system calls).
func TestEmbeddedLogSyncs(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	if !log.server.current().JetStreamConfig().SyncAlways {
		t.Error("the embedded server confirms before it syncs")
	}
}

// TestRecordMayBeReused: the record belongs to the caller again when Publish returns,
// also when its context ended before the confirmation.
func TestRecordMayBeReused(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	const publishers, rounds = 8, 20
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			record := make([]byte, 100_000)
			for i := range rounds {
				for at := range record {
					record[at] = byte(p + i)
				}
				binary.LittleEndian.PutUint32(record, crc32.ChecksumIEEE(record[4:]))
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
				if err := log.Publish(ctx, Trace, record); err != nil && !errors.Is(err, ErrUnavailable) {
					t.Errorf("error %v", err)
				}
				cancel()
				clear(record)
			}
		})
	}
	group.Wait()
	publish(t, log, Trace, "end")
	consumer := consume(t, log, Trace)
	for {
		data := next(t, consumer).Data()
		if string(data) == "end" {
			return
		}
		if binary.LittleEndian.Uint32(data) != crc32.ChecksumIEEE(data[4:]) {
			t.Fatal("a stored record was changed after Publish returned")
		}
	}
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	if err := log.Publish(t.Context(), Outcome, make([]byte, log.MaxRecordBytes()+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if err := log.Publish(t.Context(), Lane(7), nil); err == nil {
		t.Error("a lane that does not exist takes a record")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Publish(ended, Outcome, nil); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("context has ended: %v", err)
	}
	if err := errors.Join(log.Close(), log.Close()); err != nil {
		t.Error(err)
	}
	if err := log.Publish(t.Context(), Outcome, nil); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
	if err := log.Health(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("health of a closed log: %v", err)
	}
	if _, err := log.Consume(t.Context(), Outcome); !errors.Is(err, ErrUnavailable) {
		t.Errorf("consume a closed log: %v", err)
	}
}

// TestRefusal: what the server's answers mean.
func TestRefusal(t *testing.T) {
	t.Parallel()
	api := func(code jetstream.ErrorCode, text string) error {
		return fmt.Errorf("nats: %w", &jetstream.APIError{ErrorCode: code, Description: text})
	}
	for name, test := range map[string]struct{ err, want error }{
		"maximum bytes":          {api(10077, "maximum bytes exceeded"), ErrFull},
		"store, no space":        {api(10077, "write /x: no space left on device"), ErrFull},
		"store, other":           {api(10077, "write /x: input/output error"), ErrUnavailable},
		"insufficient resources": {api(10023, "insufficient resources"), ErrFull},
		"storage":                {api(10047, "insufficient storage resources available"), ErrFull},
		"account":                {api(10002, "resource limits exceeded for account"), ErrFull},
		"too many requests":      {api(10167, "too many requests"), ErrUnavailable},
		"no stream":              {jetstream.ErrNoStreamResponse, ErrUnavailable},
		"no space":               {errors.New("stream write error: no space left on device"), ErrFull},
	} {
		if err := refusal(test.err); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestPublishWithoutServer fails soon, as far as the caller's context allows.
func TestPublishWithoutServer(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Listen = "127.0.0.1:0"
	server := open(t, cfg)
	remote := config("")
	remote.URL = server.ServerURL()
	client := open(t, remote)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := client.Publish(ctx, Outcome, []byte("x")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	waitFor(t, func() bool { return errors.Is(client.Health(t.Context()), ErrUnavailable) })
}

// TestConsumersShare: each record goes to one of a lane's consumers.
func TestConsumersShare(t *testing.T) {
	t.Parallel()
	log := open(t, config(t.TempDir()))
	const records = 60
	var mu sync.Mutex
	seen := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 3 {
		consumer := consume(t, log, Outcome)
		group.Go(func() {
			for {
				m, err := consumer.Next(ctx)
				if err != nil {
					return
				}
				if m.Delivered() != 1 {
					t.Errorf("record %d is delivered for the %dth time", m.Sequence(), m.Delivered())
				}
				if err := m.Ack(); err != nil {
					t.Error(err)
				}
				mu.Lock()
				seen[string(m.Data())]++
				mu.Unlock()
			}
		})
	}
	for i := range records {
		publish(t, log, Outcome, fmt.Sprint(i))
	}
	waitPending(t, log, Outcome, 0)
	cancel()
	group.Wait()
	if len(seen) != records {
		t.Errorf("%d records were delivered, want %d: %v", len(seen), records, seen)
	}
}

// TestTrimWarnsOfExpiry of records that nobody has processed.
func TestTrimWarnsOfExpiry(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	log := open(t, config(t.TempDir()))
	log.log = slog.New(slog.NewTextHandler(&lines, nil))
	log.lanes[Outcome].all()[0].limits.MaxAge = time.Nanosecond // as if the record were old
	publish(t, log, Outcome, "x")
	for range 2 {
		if err := log.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(lines.Bytes(), []byte("too old")); n != 1 {
		t.Errorf("warned %d times, want once:\n%s", n, &lines)
	}
}
