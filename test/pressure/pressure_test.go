//go:build linux

// Package pressure_test takes from a running "flywheel up" what it needs, ClickHouse or
// room on a disk, and gives it back.
package pressure_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
	"github.com/yirifi/flywheel/test/ledger"
	"github.com/yirifi/flywheel/test/smalldisk"
	"github.com/yirifi/flywheel/test/up"
)

const (
	tenant = "acme"
	tick   = 50 * time.Millisecond
	// patience is for machines that are busy with other things.
	patience = 3 * time.Minute

	// Bounds of resident memory with lanes of laneBytes, in bytes. Of up: 100 MiB of the
	// program itself, 64 MiB of waiting requests and as much that Go has not collected
	// yet, and ten times both lanes as records and rows in the processor. Of ClickHouse:
	// its setting, and its program.
	laneBytes    = 2 << 20
	upBound      = 100<<20 + 2*64<<20 + 10*2*laneBytes
	engineMemory = 512 << 20
	engineBound  = engineMemory + 256<<20
)

// TestPressure runs one up per case.
func TestPressure(t *testing.T) {
	t.Parallel()
	program := up.Build(t)
	for name, test := range map[string]func(t *testing.T, program string){
		"ClickHouse stands still":   clickHouseStandsStill,
		"the log's disk is full":    logDiskFull,
		"ClickHouse's disk is full": clickHouseDiskFull,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

// world is an up under load, and a ledger of what it has acknowledged.
type world struct {
	*up.Up
	book    *ledger.Ledger
	probing flywheelv1.CollectorServiceClient
	stop    func() // ends the load
}

// start starts up and two clients, one with single calls, one with a stream.
func start(t *testing.T, program, dir string, settings ...string) *world {
	t.Helper()
	w := &world{Up: up.Start(t, program, dir, settings...), book: ledger.New()}
	w.Serves(t)
	conn, err := grpc.NewClient(w.Collector, append(w.book.DialOptions(tenant), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	w.probing = flywheelv1.NewCollectorServiceClient(conn)
	ctx, cancel := context.WithCancel(t.Context())
	var clients errgroup.Group
	for i := range 2 {
		clients.Go(func() error {
			return w.book.Run(ctx, t.Context(), ledger.Load{
				Seed: 1, Client: uint64(i), Tenant: tenant, Targets: []string{w.Collector}, Stream: i == 1, Pace: 4 * time.Millisecond,
			})
		})
	}
	w.stop = func() {
		cancel()
		if err := clients.Wait(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		w.stop()
		_ = conn.Close()
	})
	return w
}

// until waits for a condition while up runs.
func (w *world) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); w.Run(t, tick) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s\n%s", what, w.Output(t))
		}
	}
}

// probe sends one event of a lane and returns what the collector says.
func (w *world) probe(t *testing.T, lane string) error {
	t.Helper()
	event := &flywheelv1.Event{EventId: newID(), SessionId: newID(), Sequence: 1, TimeUnixUs: time.Now().UnixMicro()}
	if lane == "trace" {
		event.Payload = &flywheelv1.Event_Message{Message: &flywheelv1.Message{Role: flywheelv1.Role_ROLE_USER, Tokens: 1, Chars: 1}}
	} else {
		event.OpportunityId = newID()
		event.Payload = &flywheelv1.Event_Requested{Requested: &flywheelv1.Requested{Dimensions: &flywheelv1.Dimensions{
			Surface: flywheelv1.Surface_SURFACE_INLINE_COMPLETION, Model: "probe",
		}}}
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), rpc.TenantKey, tenant), 10*time.Second)
	defer cancel()
	answer, err := w.probing.Collect(ctx, &flywheelv1.CollectRequest{BatchId: newID(), Events: []*flywheelv1.Event{event}})
	if len(answer.GetRejected()) > 0 {
		t.Errorf("probe of lane %s: %v", lane, answer)
	}
	return err
}

func newID() []byte { id := uuid.Must(uuid.NewV7()); return id[:] }

// refused says whether an answer is that of a full log, which says when to try again.
func refused(t *testing.T, err error) bool {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != codes.ResourceExhausted {
		return false
	}
	wait := slices.ContainsFunc(s.Details(), func(detail any) bool {
		info, ok := detail.(*errdetails.RetryInfo)
		return ok && info.GetRetryDelay().AsDuration() > 0
	})
	if !wait || !strings.Contains(s.Message(), "the log is full") {
		t.Errorf("refused with %q, %v; want a time to wait", s.Message(), s.Details())
	}
	return true
}

// recovers waits until both lanes take events, ends the load, and compares the tables
// with the ledger.
func (w *world) recovers(t *testing.T) {
	t.Helper()
	began := time.Now()
	for _, lane := range []string{"outcome", "trace"} {
		w.until(t, "lane "+lane+" takes events again", func() bool { return w.probe(t, lane) == nil })
	}
	t.Logf("takes all events again after %s", time.Since(began).Round(100*time.Millisecond))
	w.stop()
	for _, f := range w.Check(t, w.book, patience) {
		t.Error(f)
	}
	t.Logf("%+v", w.book.Summary())
	w.Command(t, "verify", "--wait", "2m") // rates of users take their time on a busy machine
}

// acknowledged returns how many events are in the log for certain.
func (w *world) acknowledged() int { return w.book.Summary().Acknowledged }

// peak is the largest resident memory that a process has had, in bytes, 0 when it has
// ended.
func peak(t *testing.T, pid int) (bytes uint64) {
	t.Helper()
	file, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, runs := strings.Cut(string(file), "VmHWM:")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && !runs {
		return 0
	} else if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(after, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes << 10 // it is in KiB
}

// clickHouseStandsStill: the log fills, trace is refused first and outcomes last, SDKs
// hold what they can and count what they drop, and all drains when ClickHouse goes on.
func clickHouseStandsStill(t *testing.T, program string) {
	lane := fmt.Sprint(laneBytes, "B")
	w := start(t, program, filepath.Join(t.TempDir(), "data"),
		"--log-max-outcome", lane, "--log-max-trace", lane, "--log-keep", "1s", "--engine-memory", fmt.Sprint(engineMemory, "B"))
	agent, err := flywheel.Dial(w.Collector, flywheel.WithTenant(tenant), flywheel.WithInsecure(), flywheel.WithQueue(200, 1<<20),
		flywheel.WithBatch(20, 64<<10, 20*time.Millisecond), flywheel.WithDialOptions(w.book.DialOptions(tenant)...))
	if err != nil {
		t.Fatal(err)
	}
	session := agent.Session(flywheel.SessionInfo{Client: "pressed"})
	w.until(t, "events are acknowledged", func() bool { return w.acknowledged() > 1000 })

	engine := w.Engine(t)
	if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(engine, syscall.SIGCONT) })
	w.until(t, "trace is refused", func() bool { return refused(t, w.probe(t, "trace")) })
	if err := w.probe(t, "outcome"); err != nil {
		t.Errorf("with trace refused, an outcome is answered %v", err)
	}
	w.until(t, "outcomes are refused", func() bool { return refused(t, w.probe(t, "outcome")) })
	if !refused(t, w.probe(t, "trace")) {
		t.Error("trace is taken while outcomes are refused")
	}
	w.until(t, "the SDK drops traces", func() bool {
		session.Message(flywheel.Message{Role: flywheel.RoleUser, Text: "go on"})
		return agent.Stats().Dropped > 0
	})
	traces := agent.Stats().Dropped
	session.Opportunity(flywheel.Dimensions{Model: "probe"})
	if dropped := agent.Stats().Dropped; dropped != traces {
		t.Errorf("the SDK drops an outcome as soon as it drops traces: %d dropped, then %d", traces, dropped)
	}
	w.until(t, "the SDK drops outcomes", func() bool {
		session.Opportunity(flywheel.Dimensions{Model: "probe"})
		return agent.Stats().Dropped > traces
	})
	if held := agent.Stats().Queued; held == 0 || held > 200 {
		t.Errorf("the SDK holds %d events, of at most 200", held)
	}
	most := peak(t, engine)
	if most == 0 {
		t.Fatal("ClickHouse has ended while it stood still")
	}
	if err := syscall.Kill(engine, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.until(t, "the SDK delivers what it held", func() bool {
		most = max(most, peak(t, engine)) // it may end now, and another goes on
		return agent.Stats().Queued == 0
	})
	if err := agent.Close(t.Context()); err != nil {
		t.Errorf("close SDK client: %v", err)
	}
	if stats := agent.Stats(); stats.Queued != 0 || stats.Rejected != 0 {
		t.Errorf("SDK afterwards: %+v", stats)
	}
	w.recovers(t)
	t.Logf("ClickHouse ended and was started again: %d times", strings.Count(w.Output(t), "ClickHouse died"))
	of := map[string]uint64{"up": peak(t, w.PID()), "ClickHouse": max(most, peak(t, w.Engine(t)))}
	t.Logf("most memory: up %d MiB of %d, ClickHouse %d MiB of %d", of["up"]>>20, upBound>>20, of["ClickHouse"]>>20, engineBound>>20)
	if of["up"] == 0 || of["up"] > upBound || of["ClickHouse"] > engineBound {
		t.Errorf("memory: %v bytes, above the bounds", of)
	}
}

// onSmallDisk starts up with one of its folders on a disk of its own.
func onSmallDisk(t *testing.T, program, folder string, megabytes int) (w *world, disk string) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	disk = filepath.Join(data, folder)
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	smalldisk.Mount(t, disk, megabytes)
	w = start(t, program, data, "--log-max-outcome=64MiB", "--log-max-trace=64MiB")
	w.until(t, "events are acknowledged", func() bool { return w.acknowledged() > 1000 })
	return w, disk
}

// logDiskFull: with no byte left on the log's disk clients are told so, and room is all
// that it takes to go on.
func logDiskFull(t *testing.T, program string) {
	w, disk := onSmallDisk(t, program, "log", 256)
	for range 2 {
		free := smalldisk.Fill(t, disk, 0)
		w.until(t, "outcomes are refused", func() bool { return refused(t, w.probe(t, "outcome")) })
		w.until(t, "up says why", func() bool { return strings.Contains(w.Output(t), "free space") })
		before := w.acknowledged()
		free()
		w.until(t, "events are acknowledged again", func() bool { return w.acknowledged() > before+1000 })
	}
	// A look at the disk at the right moment stops publishing before the store fails: not
	// twice in a row.
	if !strings.Contains(w.Output(t), "event log stores again") {
		t.Errorf("the log's store has not met the end of the disk, or was not started again\n%s", w.Output(t))
	}
	w.recovers(t)
}

// clickHouseDiskFull: the log takes what ClickHouse cannot, which gets it later.
func clickHouseDiskFull(t *testing.T, program string) {
	w, disk := onSmallDisk(t, program, "clickhouse", 512)
	free := smalldisk.Fill(t, disk, 16<<20)
	before := w.acknowledged()
	w.until(t, "events are acknowledged without ClickHouse", func() bool { return w.acknowledged() > before+5000 })
	w.until(t, "the processor says what is wrong", func() bool { return strings.Contains(w.Output(t), "Cannot reserve") })
	free()
	w.recovers(t)
}
