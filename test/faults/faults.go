package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// fault is something that goes wrong and gets well again.
type fault struct {
	// name is what -fault and the table call it, point what fails, in words.
	name, point string
	// disks are the hosts that need a small file system for it.
	disks []string
	// hurt does it and returns what undoes it.
	hurt func(ctx context.Context, w *world, r *rand.Rand) (heal func() error, err error)
}

// none undoes what undoes itself.
func none() error { return nil }

// catalogue is every fault.
func catalogue() []fault {
	all := []fault{
		{name: "kill-nats-leader", point: "SIGKILL of the log's leader", hurt: killLeader},
		{name: "kill-nats-two", point: "SIGKILL of two log nodes at once", hurt: killTwo},
		{name: "roll-nats", point: "rolling restart of the log", hurt: roll},
		{name: "kill-clickhouse", point: "SIGKILL of ClickHouse", hurt: signalEngine(syscall.SIGKILL)},
		{name: "kill-clickhouse-insert", point: "SIGKILL of ClickHouse in the middle of an insert", hurt: killInsert},
		{name: "kill-processor-insert", point: "SIGKILL of the processors in the middle of an insert", hurt: killInserting},
		{name: "stop-clickhouse", point: "SIGSTOP of ClickHouse", hurt: signalEngine(syscall.SIGSTOP)},
		{name: "part-collector-nats", point: "partition collector - log", hurt: partition(collectorNames())},
		{name: "part-processor-nats", point: "partition processor - log", hurt: partition(processorNames())},
		{name: "part-nats-leader", point: "partition of the log's leader from its peers", hurt: partitionLeader},
		{name: "part-store", point: "partition processor - ClickHouse", hurt: onStore(func(l *link) { l.held.Store(true) })},
		{name: "part-client-collector", point: "partition client - collector", hurt: onClients(func(l *link, _ *rand.Rand) { l.held.Store(true) })},
		{name: "acks-lost", point: "acknowledgements lost on the way to the client", hurt: onClients(func(l *link, _ *rand.Rand) { l.deaf.Store(true) })},
		{name: "slow-clients", point: "slow network client - collector", hurt: onClients(func(l *link, r *rand.Rand) {
			l.delay.Store(int64(20+r.IntN(300)) * int64(time.Millisecond))
		})},
		{name: "cut-clients", point: "connections client - collector cut", hurt: onClients(func(l *link, _ *rand.Rand) { l.cut() })},
		{name: "twice-clients", point: "connections client - collector duplicated", hurt: onClients(func(l *link, _ *rand.Rand) {
			l.twice.Store(true)
			l.cut()
		})},
		{name: "slow-clickhouse", point: "slow ClickHouse", hurt: slowEngine},
		{name: "slow-store", point: "slow network processor - ClickHouse", hurt: onStore(func(l *link) { l.delay.Store(int64(200 * time.Millisecond)) })},
		{name: "cut-store", point: "connections processor - ClickHouse cut", hurt: onStore((*link).cut)},
		{name: "full-nats", point: "disk of a log node full", disks: natsNames()[:1], hurt: fill(natsNames()[:1])},
		{name: "full-nats-all", point: "disks of all log nodes full", disks: natsNames(), hurt: fill(natsNames())},
		{name: "full-clickhouse", point: "disk of ClickHouse full", disks: []string{engineName}, hurt: fill([]string{engineName})},
		{name: "clock-collector", point: "clock of a collector jumps", hurt: jump(collectorNames())},
		{name: "clock-processor", point: "clock of a processor jumps", hurt: jump(processorNames())},
		{name: "clock-nats", point: "clock of a log node jumps", hurt: jump(natsNames())},
	}
	for role, names := range map[string][]string{"collector": collectorNames(), "processor": processorNames(), "feedback": {feedbackName}, "nats": natsNames()} {
		all = append(all,
			fault{name: "kill-" + role, point: "SIGKILL of " + role, hurt: signalOne(names, syscall.SIGKILL)},
			fault{name: "stop-" + role, point: "SIGSTOP of " + role, hurt: signalOne(names, syscall.SIGSTOP)})
	}
	slices.SortFunc(all, func(a, b fault) int { return strings.Compare(a.name, b.name) })
	return all
}

func pick(r *rand.Rand, names []string) string { return names[r.IntN(len(names))] }

type hurt = func(ctx context.Context, w *world, r *rand.Rand) (func() error, error)

func signalOne(names []string, s syscall.Signal) hurt {
	return func(_ context.Context, w *world, r *rand.Rand) (func() error, error) {
		p := w.processes[pick(r, names)]
		heal := none
		if s == syscall.SIGSTOP {
			heal = func() error { return p.signal(syscall.SIGCONT) }
		}
		return heal, p.signal(s)
	}
}

func signalEngine(s syscall.Signal) hurt {
	return func(_ context.Context, w *world, _ *rand.Rand) (func() error, error) {
		pid := w.engine.PID()
		heal := none
		if s == syscall.SIGSTOP {
			heal = func() error { return ignoreGone(syscall.Kill(pid, syscall.SIGCONT)) }
		}
		return heal, ignoreGone(syscall.Kill(pid, s))
	}
}

// slowEngine lets ClickHouse run for a fifth of the time.
func slowEngine(ctx context.Context, w *world, _ *rand.Rand) (func() error, error) {
	slow, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	var failed error
	running.Go(func() {
		for failed == nil && slow.Err() == nil {
			pid := w.engine.PID()
			failed = ignoreGone(syscall.Kill(pid, syscall.SIGSTOP))
			wait(slow, 80*time.Millisecond)
			failed = errors.Join(failed, ignoreGone(syscall.Kill(pid, syscall.SIGCONT)))
			wait(slow, 20*time.Millisecond)
		}
	})
	return func() error {
		stop()
		running.Wait()
		return failed
	}, nil
}

// killInsert kills ClickHouse as soon as it works on an insert.
func killInsert(ctx context.Context, w *world, _ *rand.Rand) (func() error, error) {
	look, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for look.Err() == nil {
		var inserts uint64
		err := w.db.Conn().QueryRow(look, "SELECT count() FROM system.processes WHERE query_kind = 'Insert'").Scan(&inserts)
		if err != nil || inserts > 0 {
			break // it is busy, or down by another fault
		}
	}
	return none, ignoreGone(syscall.Kill(w.engine.PID(), syscall.SIGKILL))
}

// killInserting holds what the processors send to ClickHouse until they have inserts under
// way, kills them, and forgets what was held.
func killInserting(ctx context.Context, w *world, _ *rand.Rand) (func() error, error) {
	for _, name := range processorNames() {
		w.store[name].mute.Store(true) // what ClickHouse has already is still confirmed
	}
	wait(ctx, 1500*time.Millisecond)
	var errs []error
	for _, name := range processorNames() {
		errs = append(errs, w.processes[name].kill())
	}
	return func() error {
		for _, name := range processorNames() {
			w.store[name].cut()
			w.store[name].heal()
		}
		return nil
	}, errors.Join(errs...)
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// leader asks the cluster who leads the stream of outcomes.
func leader(ctx context.Context, w *world) (string, error) {
	nc, err := nats.Connect(w.natsURL(), nats.Timeout(2*time.Second))
	if err != nil {
		return "", fmt.Errorf("ask who leads: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return "", fmt.Errorf("ask who leads: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, "FLYWHEEL_OUTCOME")
	if err != nil {
		return "", fmt.Errorf("ask who leads: %w", err)
	}
	return stream.CachedInfo().Cluster.Leader, nil
}

// leaderOr is the leader or, when other faults keep it from being known, any node.
func leaderOr(ctx context.Context, w *world, r *rand.Rand) string {
	name, err := leader(ctx, w)
	if err != nil || name == "" {
		return pick(r, natsNames())
	}
	return name
}

func killLeader(ctx context.Context, w *world, r *rand.Rand) (func() error, error) {
	return none, w.processes[leaderOr(ctx, w, r)].kill()
}

func killTwo(_ context.Context, w *world, r *rand.Rand) (func() error, error) {
	spared := r.IntN(len(natsNames()))
	var errs []error
	var down []*process
	for i, name := range natsNames() {
		if i != spared {
			p := w.processes[name]
			p.hold(true)
			down = append(down, p)
			errs = append(errs, p.kill())
		}
	}
	return func() error {
		for _, p := range down {
			p.hold(false)
		}
		return nil
	}, errors.Join(errs...)
}

func roll(ctx context.Context, w *world, _ *rand.Rand) (func() error, error) {
	for _, name := range natsNames() {
		if err := w.processes[name].signal(syscall.SIGTERM); err != nil {
			return none, err
		}
		wait(ctx, time.Second)
		_ = w.until(ctx, name+" is healthy", func() error { return w.healthy(ctx, name) }) // other faults may be in the way
	}
	return none, nil
}

func partition(names []string) hurt {
	return func(ctx context.Context, w *world, r *rand.Rand) (func() error, error) {
		return w.isolate(ctx, pick(r, names))
	}
}

func partitionLeader(ctx context.Context, w *world, r *rand.Rand) (func() error, error) {
	return w.isolate(ctx, leaderOr(ctx, w, r))
}

// onClients does something to about half of the clients' links.
func onClients(do func(*link, *rand.Rand)) hurt {
	return func(_ context.Context, w *world, r *rand.Rand) (func() error, error) {
		var hit []*link
		for _, name := range sorted(w.clients) {
			if r.IntN(2) == 0 {
				do(w.clients[name], r)
				hit = append(hit, w.clients[name])
			}
		}
		return healLinks(hit), nil
	}
}

// onStore does something to a processor's link to ClickHouse.
func onStore(do func(*link)) hurt {
	return func(_ context.Context, w *world, r *rand.Rand) (func() error, error) {
		l := w.store[pick(r, processorNames())]
		do(l)
		return healLinks([]*link{l}), nil
	}
}

func healLinks(links []*link) func() error {
	return func() error {
		for _, l := range links {
			l.heal()
		}
		return nil
	}
}

func sorted(links map[string]*link) []string {
	var names []string
	for name := range links {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fill fills small file systems with a ballast file each, and removes it. A node of the log
// that is not healthy then is restarted, as an orchestrator does.
func fill(names []string) hurt {
	return func(ctx context.Context, w *world, _ *rand.Rand) (func() error, error) {
		ballast := make([]string, len(names))
		var filling errgroup.Group
		for i, name := range names {
			filling.Go(func() (err error) {
				ballast[i], err = fillDisk(ctx, w.folder(name))
				return err
			})
		}
		err := filling.Wait()
		return func() error {
			var errs []error
			for _, file := range ballast {
				errs = append(errs, os.Remove(file))
			}
			ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
			defer cancel()
			wait(ctx, time.Second)
			for _, name := range names {
				if p := w.processes[name]; p != nil && w.healthy(ctx, name) != nil {
					errs = append(errs, p.kill())
				}
			}
			return errors.Join(errs...)
		}, err
	}
}

// fillDisk fills the file system of a folder with a new file, the last tenth in a few
// seconds: nothing writes the last gigabytes of a disk at once.
func fillDisk(ctx context.Context, folder string) (string, error) {
	file, err := os.CreateTemp(folder, "ballast-")
	if err != nil {
		return "", fmt.Errorf("fill disk: %w", err)
	}
	defer func() { _ = file.Close() }()
	block := make([]byte, fillBlock)
	for len(block) > 0 {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
		var disk syscall.Statfs_t
		if err := syscall.Fstatfs(int(file.Fd()), &disk); err != nil { //nolint:gosec // a file descriptor is an int
			return file.Name(), fmt.Errorf("fill disk: %w", err)
		}
		if disk.Bavail > 0 && disk.Bavail < disk.Blocks/10 {
			wait(ctx, fillPause)
		}
	}
	return file.Name(), nil
}

const (
	fillBlock = 64 << 10
	fillPause = 10 * time.Millisecond
)

// jump sets a clock wrong by seconds to hours, and right again.
func jump(names []string) hurt {
	return func(_ context.Context, w *world, r *rand.Rand) (func() error, error) {
		jumps := []int{-36_000, -3600, -60, -2, 2, 60, 3600, 36_000}
		name := pick(r, names)
		set := func(seconds int) error {
			return os.WriteFile(w.folder(name+".clock"), []byte(strconv.Itoa(seconds)), 0o600)
		}
		return func() error { return set(0) }, set(jumps[r.IntN(len(jumps))])
	}
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
