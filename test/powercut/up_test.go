//go:build linux

package powercut

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yirifi/flywheel/test/ledger"
	"github.com/yirifi/flywheel/test/up"
)

var runs = flag.Int("powercut.runs", 1, "how many seeds to cut the power with, for each model")

const patience = 90 * time.Second

// cut turns the power off under a running up.
func cut(t *testing.T, u *up.Up, f *FileSystem, after string) {
	t.Helper()
	f.Fail()
	u.Kill(t)
	if err := f.Cut(after); err != nil {
		t.Fatal(err)
	}
}

// scenario loads up on a file system and cuts its power, then as often as cuts says
// while up starts on what survived. It compares the tables in the end with the ledger.
func scenario(t *testing.T, program string, model Model, cuts int, patience time.Duration) []ledger.Finding {
	t.Helper()
	random := rand.New(rand.NewPCG(model.Seed, 1))
	f, at, after := mount(t, model)
	u := up.Start(t, program, filepath.Join(at, "data"))
	u.Serves(t)
	book := ledger.New()
	sending, stop := context.WithCancel(t.Context())
	defer stop()
	var clients errgroup.Group
	clients.Go(func() error {
		return book.Run(sending, sending, ledger.Load{Seed: model.Seed, Tenant: "acme", Targets: []string{u.Collector}, Pace: 20 * time.Millisecond})
	})
	u.Run(t, 3*time.Second+time.Duration(random.Int64N(int64(3*time.Second))))
	u.Command(t, "model", "create", registered)
	cut(t, u, f, after)
	stop()
	if err := clients.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := book.Summary().Acknowledged; n < 500 {
		t.Fatalf("only %d events acknowledged before the cut", n)
	}
	for range cuts {
		f, at = remount(t, after, model)
		after += "+"
		u = up.Start(t, program, filepath.Join(at, "data"))
		u.Run(t, time.Duration(random.Int64N(int64(4*time.Second))))
		cut(t, u, f, after)
	}
	_, at = remount(t, after, model)
	u = up.Start(t, program, filepath.Join(at, "data"))
	u.Serves(t)
	findings := u.Check(t, book, patience)
	t.Logf("%+v, %d more cuts: %+v, %d findings", model, cuts, book.Summary(), len(findings))
	if len(findings) > 0 {
		return findings
	}
	if list := u.Command(t, "model", "list"); !strings.Contains(list, registered) {
		t.Errorf("the model that was registered is gone: %s", list)
	}
	u.Command(t, "verify", "--wait", "2m") // rates of users take their time on a busy machine
	return findings
}

// registered is a model whose registration, which is in no log, was acknowledged.
const registered = "tab-7"

// TestPowerCut: what was acknowledged survives power cuts, also those during the
// start after another.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	program := up.Build(t)
	for i := range *runs {
		seed := uint64(i)
		for name, run := range map[string]struct {
			model Model
			cuts  int
		}{
			"ordered": {Model{Ordered: true, Seed: seed}, 0},
			"torn":    {Model{Ordered: true, Torn: true, Seed: seed}, 2},
		} {
			t.Run(fmt.Sprintf("%s,seed=%d", name, i), func(t *testing.T) {
				t.Parallel()
				for _, f := range scenario(t, program, run.model, run.cuts, patience) {
					t.Error(f)
				}
			})
		}
	}
}

// TestUnsyncedLogIsCaught: a log that acknowledges before it has synced loses events.
func TestUnsyncedLogIsCaught(t *testing.T) {
	t.Parallel()
	program := up.BuildMutant(t, "internal/eventlog/server.go", "SyncAlways:             true,", "SyncAlways: false,")
	for _, f := range scenario(t, program, Model{Ordered: true}, 0, 15*time.Second) {
		if f.Kind == ledger.Lost {
			return
		}
	}
	t.Error("no event is lost though the log does not sync")
}
