package sequence_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yirifi/flywheel/collector"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine/enginetest"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
	"github.com/yirifi/flywheel/replay"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
	"github.com/yirifi/flywheel/trainset/sequence"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// witness keeps what the agent really had.
type witness struct {
	mu        sync.Mutex
	documents map[uuid.UUID]seen
}

type seen struct {
	document string
	sum      [sha256.Size]byte
	bytes    int
}

func (w *witness) see(interaction flywheel.ID, document string, text []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.documents[uuid.UUID(interaction)] = seen{document, sha256.Sum256(text), len(text)}
}

// TestDocumentsAreWhatTheAgentHad lets the retyping agent work, sends every event twice
// in any order through the real collector, log, processors and ClickHouse, and rebuilds
// the document before each suggestion.
func TestDocumentsAreWhatTheAgentHad(t *testing.T) {
	t.Parallel()
	const interactions = 1500
	db := openStore(t)
	w := &witness{documents: map[uuid.UUID]seen{}}
	tally := replayInto(t, db, func(cfg *replay.Config) {
		cfg.Interactions, cfg.Repeat, cfg.Shuffle, cfg.Witness = interactions, 2, true, w.see
	})
	query := sequence.Query{Tenant: "default", From: tally.BaseTime, To: tally.EndTime, Edits: 20, Before: time.Minute, After: 30 * time.Second}
	found, before, after, longest := 0, 0, 0, 0
	for m, err := range sequence.Read(t.Context(), db, query) {
		if err != nil {
			t.Fatal(err)
		}
		had, ok := w.documents[m.InteractionID]
		if !ok {
			t.Fatalf("interaction %s was not made by the agent", m.InteractionID)
		}
		if !m.Known || m.Document != had.document || sha256.Sum256(m.Text) != had.sum {
			t.Fatalf("interaction %s: document %q (known: %t) of %d bytes, the agent had %q of %d bytes",
				m.InteractionID, m.Document, m.Known, len(m.Text), had.document, had.bytes)
		}
		if len(m.Before) > query.Edits {
			t.Fatalf("%d edits before, at most %d are wanted", len(m.Before), query.Edits)
		}
		found, before, after, longest = found+1, before+len(m.Before), after+len(m.After), max(longest, len(m.Text))
	}
	if found != len(w.documents) || found < 1000 {
		t.Errorf("%d interactions found, the agent made %d", found, len(w.documents))
	}
	requireSameEdits(t, db, tally, query)
	if before < found || after < found || longest < 1000 {
		t.Errorf("%d interactions with %d edits before, %d after, documents of up to %d bytes: the test shows little", found, before, after, longest)
	}
}

func openStore(t *testing.T) *warehouse.DB {
	t.Helper()
	db, err := warehouse.Open(t.Context(), enginetest.DSN(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// replayInto runs the retyping agent against real roles and waits until all is stored.
func replayInto(t *testing.T, db *warehouse.DB, change func(*replay.Config)) *replay.Tally {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	logCfg := eventlog.DefaultConfig()
	logCfg.Dir = t.TempDir()
	log, err := eventlog.Open(t.Context(), logCfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	col, err := collector.New(collector.DefaultConfig(), log, quiet)
	if err != nil {
		t.Fatal(err)
	}
	proc, err := processor.New(processor.DefaultConfig(), log, db, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var listening net.ListenConfig
	lis, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var roles sync.WaitGroup
	roles.Go(func() { _ = col.Serve(ctx, lis) })
	roles.Go(func() { _ = proc.Run(ctx) })
	defer roles.Wait()
	defer stop()

	cfg := replay.DefaultConfig()
	cfg.Target, cfg.Content, cfg.TrainBytes = lis.Addr().String(), flywheelv1.Consent_CONSENT_TRAINING, 200_000
	change(&cfg)
	tally, err := replay.Run(t.Context(), cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, lane := range eventlog.Lanes() {
		for pending := uint64(1); pending > 0; <-tick.C {
			if pending, err = log.Pending(t.Context(), lane); err != nil {
				t.Fatal(err)
			}
		}
	}
	return tally
}
