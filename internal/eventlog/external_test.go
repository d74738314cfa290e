package eventlog

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// natsServer runs a server as somebody else might set one up.
func natsServer(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: maxPayload,
	}
	change(opts)
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return srv
}

// TestExternalServer that wants a token. Several processes open it at once, and one
// later with other limits.
func TestExternalServer(t *testing.T) {
	t.Parallel()
	srv := natsServer(t, func(o *server.Options) { o.Authorization = "hush" })
	cfg := config("")
	cfg.URL = strings.Replace(srv.ClientURL(), "nats://", "nats://hush@", 1)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			log, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
				return
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	cfg.Trace.MaxBytes += 1 << 20
	log := open(t, cfg)
	if _, info, err := log.streamInfo(t.Context(), log.lanes[Trace].all()[0]); err != nil || info.Config.MaxBytes != cfg.Trace.MaxBytes {
		t.Errorf("the new limit is not applied: %v", err)
	}
	publish(t, log, Outcome, strings.Repeat("x", log.MaxRecordBytes()))
	if err := log.DeadLetter(t.Context(), DeadLetter{Reason: strings.Repeat("y", 1<<20), Batch: make([]byte, log.MaxRecordBytes())}); err != nil {
		t.Errorf("the largest dead letter: %v", err)
	}
	if n, err := log.DeadLetterCount(t.Context()); err != nil || n != 1 {
		t.Errorf("%d dead letters, %v", n, err)
	}
	if err := log.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if log.ServerURL() != "" {
		t.Errorf("serves at %s", log.ServerURL())
	}
}

// TestServerIsNotFit: Open says what is wrong with a server.
func TestServerIsNotFit(t *testing.T) {
	t.Parallel()
	t.Run("no JetStream", func(t *testing.T) {
		t.Parallel()
		srv := natsServer(t, func(o *server.Options) { o.JetStream = false })
		cfg := config("")
		cfg.URL = srv.ClientURL()
		wantOpenError(t, cfg, "is JetStream enabled")
	})
	t.Run("no cluster", func(t *testing.T) {
		t.Parallel()
		srv := natsServer(t, func(*server.Options) {})
		cfg := config("")
		cfg.URL = srv.ClientURL()
		cfg.Replicas = 3
		wantOpenError(t, cfg, "replicas > 1 not supported")
	})
	t.Run("small messages, as is the server's default", func(t *testing.T) {
		t.Parallel()
		srv := natsServer(t, func(o *server.Options) { o.MaxPayload = server.MAX_PAYLOAD_SIZE })
		cfg := config("")
		cfg.URL = srv.ClientURL()
		wantOpenError(t, cfg, `set "max_payload: 8MB"`)
	})
	t.Run("a stream that cannot be changed", func(t *testing.T) {
		t.Parallel()
		srv := natsServer(t, func(*server.Options) {})
		cfg := config("")
		cfg.URL = srv.ClientURL()
		log := open(t, cfg)
		js := log.consuming.js
		if err := js.DeleteStream(t.Context(), "FLYWHEEL_TRACE"); err != nil {
			t.Fatal(err)
		}
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "FLYWHEEL_TRACE", Subjects: []string{"flywheel.trace"}, Storage: jetstream.MemoryStorage, MaxBytes: 1 << 20,
		})
		if err != nil {
			t.Fatal(err)
		}
		wantOpenError(t, cfg, "stream FLYWHEEL_TRACE exists with settings that cannot be changed")
	})
}

func wantOpenError(t *testing.T, cfg Config, want string) {
	t.Helper()
	log, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = log.Close()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}
