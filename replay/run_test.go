package replay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a collector in memory and returns its address and what it keeps.
func serve(t *testing.T, collector flywheelv1.CollectorServiceServer) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	flywheelv1.RegisterCollectorServiceServer(server, collector)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// small is a replay of a few hundred interactions.
func small(t *testing.T) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Source = goSource(t, "strings")
	cfg.Seed, cfg.TrainBytes = 7, 300_000
	cfg.BaseTime = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	cfg.Interactions, cfg.Sessions, cfg.Users = 200, 6, 4
	return cfg
}

// replayed runs a replay against a recorder.
func replayed(t *testing.T, cfg Config) (*Tally, []*flywheelv1.Event) {
	t.Helper()
	r := &recorder{}
	cfg.Target = serve(t, r)
	tally, err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tally, r.take()
}

// digest marshals events, in the order of their ids.
func digest(t *testing.T, events []*flywheelv1.Event) string {
	t.Helper()
	var all []byte
	for _, event := range events {
		data, err := event.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return string(all)
}

func TestEventsAreTheSameEveryTime(t *testing.T) {
	t.Parallel()
	tally, events := replayed(t, small(t))
	once := digest(t, events)
	if len(events) < 1000 {
		t.Fatalf("only %d events", len(events))
	}
	for _, c := range []struct {
		name   string
		change func(*Config)
		same   bool
	}{
		{"again", func(*Config) {}, true},
		{"several workers", func(cfg *Config) { cfg.Workers = 3 }, true},
		{"sent twice in any order", func(cfg *Config) { cfg.Repeat, cfg.Shuffle = 2, true }, true},
		{"another seed", func(cfg *Config) { cfg.Seed++ }, false},
		{"another time", func(cfg *Config) { cfg.BaseTime = cfg.BaseTime.Add(time.Minute) }, false},
		{"without content", func(cfg *Config) { cfg.Content = flywheelv1.Consent_CONSENT_UNSPECIFIED }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := small(t)
			c.change(&cfg)
			other, otherEvents := replayed(t, cfg)
			if same := digest(t, otherEvents) == once; same != c.same {
				t.Fatalf("same events: %t, want %t", same, c.same)
			}
			if !c.same {
				return
			}
			if want := tally.EventsTotal * uint64(cfg.Repeat); other.Delivery.Accepted != want {
				t.Errorf("%d events accepted, want %d", other.Delivery.Accepted, want)
			}
			other.Delivery = tally.Delivery
			if diff := cmp.Diff(tally, other); diff != "" {
				t.Errorf("tallies differ (-once +again):\n%s", diff)
			}
		})
	}
}

func TestTwoReplaysShareNoIds(t *testing.T) {
	t.Parallel()
	_, events := replayed(t, small(t))
	seen := map[string]bool{}
	for _, event := range events {
		seen[string(event.GetEventId())] = true
	}
	cfg := small(t)
	cfg.Interactions++
	_, others := replayed(t, cfg)
	for _, event := range others {
		if seen[string(event.GetEventId())] {
			t.Fatal("a replay of another size makes an event of the same id")
		}
	}
}

func TestTallyDescribesTheReplay(t *testing.T) {
	t.Parallel()
	cfg := small(t)
	tally, events := replayed(t, cfg)
	if tally.Total.Suggestions != uint64(cfg.Interactions) || tally.Sessions != cfg.Sessions || tally.Users != cfg.Users {
		t.Errorf("%d interactions in %d sessions of %d users", tally.Total.Suggestions, tally.Sessions, tally.Users)
	}
	if tally.EventsTotal != uint64(len(events)) || tally.Delivery.Accepted != uint64(len(events)) {
		t.Errorf("%d events tallied, %d accepted, %d arrived", tally.EventsTotal, tally.Delivery.Accepted, len(events))
	}
	if tally.Delivery.Rejected+tally.Delivery.Dropped > 0 || tally.Interrupted || tally.Files == 0 || tally.TrainingFiles == 0 {
		t.Errorf("tally %+v", tally)
	}
	models := make([]string, 0, 2)
	for _, m := range tally.Models {
		models = append(models, m.Model)
	}
	if !slices.Equal(models, []string{"frequency@1", "ngram-6@1"}) {
		t.Errorf("models %v", models)
	}
	for _, event := range events {
		at := time.UnixMicro(event.GetTimeUnixUs())
		if at.Before(tally.BaseTime) || !at.Before(tally.EndTime) {
			t.Fatalf("an event at %s, outside of %s … %s", at, tally.BaseTime, tally.EndTime)
		}
	}
}

func TestEveryKindOfOutcomeHappens(t *testing.T) {
	t.Parallel()
	cfg := small(t)
	cfg.Source, cfg.Interactions, cfg.Sessions, cfg.Users = goSource(t, "go"), 2000, 32, 8
	tally, _ := replayed(t, cfg)
	for _, m := range tally.Models {
		for _, f := range m.fields() {
			if f.name != "undecided" && f.name != "cancelled" && *f.value == 0 {
				t.Errorf("%s: no %s", m.Model, f.name)
			}
		}
		if m.Undecided != 0 {
			t.Errorf("%s: %d undecided", m.Model, m.Undecided)
		}
		last := m.Retention[len(m.Retention)-1]
		if last.RetainedChars >= last.BaseChars || last.RetainedChars*10 < last.BaseChars*9 {
			t.Errorf("%s: %d of %d characters retained at last", m.Model, last.RetainedChars, last.BaseChars)
		}
	}
}

// TestEndOfADocument retypes files of which some end where others go on: the agent
// suggests what the author does not write.
func TestEndOfADocument(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for i := range 60 {
		text := "package p\n\nfunc f() {\n}\n"
		if i%2 == 0 {
			text += "var x = f\n"
		}
		write(t, root, fmt.Sprintf("f%d.go", i), text)
	}
	cfg := small(t)
	cfg.Source = root
	tally, events := replayed(t, cfg)
	if tally.Total.Cancelled == 0 {
		t.Error("no suggestion was cancelled when its document was closed")
	}
	if !slices.ContainsFunc(events, func(event *flywheelv1.Event) bool { return event.GetAlternative().GetNoEdit() }) {
		t.Error("nowhere did the author write nothing instead")
	}
}

func TestHistoryLowersRetention(t *testing.T) {
	t.Parallel()
	first := strings.Repeat("func alpha() error {\n\treturn nil\n}\n\n", 12)
	second := strings.ReplaceAll(first, "\treturn nil\n", "\tlog.Printf(\"called\")\n\treturn check(alpha)\n")
	cfg := small(t)
	cfg.Source, cfg.History, cfg.Sessions, cfg.Users = repositoryOf(t, "a.go", first, second), 1, 2, 2
	tally, events := replayed(t, cfg)
	early, late := tally.Total.Retention[0], tally.Total.Retention[6]
	if early.RetainedChars != early.BaseChars || late.RetainedChars >= late.BaseChars {
		t.Errorf("retained %d of %d at first, %d of %d at last", early.RetainedChars, early.BaseChars, late.RetainedChars, late.BaseChars)
	}
	for name, text := range documents(t, events) {
		if text != first && text != second && !strings.HasPrefix(first, text) {
			t.Errorf("document %s ends as %q", name, text)
		}
	}
}

// documents rebuilds the documents of all sessions from their edits alone.
func documents(t *testing.T, events []*flywheelv1.Event) map[string]string {
	t.Helper()
	slices.SortFunc(events, func(a, b *flywheelv1.Event) int { return int(a.GetSequence()) - int(b.GetSequence()) })
	texts := map[string]string{}
	for _, event := range events {
		edit := event.GetEdit()
		if edit == nil {
			continue
		}
		name := string(event.GetSessionId()) + edit.GetDocument()
		text, from := texts[name], edit.GetOffset()
		texts[name] = text[:from] + event.GetContent().GetText() + text[from+edit.GetRemovedLength():]
	}
	return texts
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &recorder{}
	cfg := small(t)
	cfg.Target = serve(t, r)
	tally, err := Run(ctx, cfg, slog.New(slog.DiscardHandler), func(done, total int) {
		if total != cfg.Interactions {
			t.Errorf("%d in total, want %d", total, cfg.Interactions)
		}
		if done > 0 {
			cancel()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !tally.Interrupted || tally.Sessions == 0 || tally.Sessions >= cfg.Sessions {
		t.Errorf("interrupted %t after %d sessions", tally.Interrupted, tally.Sessions)
	}
	if got := uint64(len(r.take())); got != tally.EventsTotal {
		t.Errorf("%d events arrived, %d tallied", got, tally.EventsTotal)
	}
}

func TestRunRefusesBadSettings(t *testing.T) {
	t.Parallel()
	if _, err := Run(t.Context(), Config{}, slog.New(slog.DiscardHandler), nil); err == nil {
		t.Error("no error")
	}
}
