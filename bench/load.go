package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/metadata"

	"github.com/yirifi/flywheel/internal/rpc"
)

// protocol is what the load generator speaks.
type protocol string

const (
	flywheel protocol = "flywheel" // a stream of CollectStreamRequests
	otlp     protocol = "otlp"     // calls with log records
)

// eventLoad is a load of the standard mix in batches of any number of events. It ends
// after so many interactions, or with those that are under way after some time; zero
// does not bound it.
type eventLoad struct {
	// protocol is flywheel unless told otherwise, the tenant the default one.
	protocol protocol
	tenant   string
	clients  int
	// batch is events per batch, window how many batches of a client may wait for
	// their acknowledgement.
	batch, window int
	// perSession is how many interactions share a session.
	perSession   int
	interactions int
	time         time.Duration
	// limit bounds the events per second of all clients. Zero: as fast as acknowledged.
	limit float64
}

// defaultWindow is how many batches of a client may wait for their acknowledgement.
const defaultWindow = 8

// load is the load that the flags ask for.
func (o options) load() eventLoad {
	return eventLoad{
		clients: o.clients, batch: o.batch * eventsPer, window: defaultWindow, perSession: interactionsPerSession,
		interactions: o.interactions, limit: o.rate,
	}
}

// generatorName is the load generator among the processes.
const generatorName = "load generator"

// loadResult is what the load generator measured.
type loadResult struct {
	Events int `json:"events"`
	Bytes  int `json:"bytes"`
	// Began is when the first batch was made: Unix nanoseconds.
	Began   int64   `json:"began"`
	Seconds float64 `json:"seconds"`
	// CPU is the CPU seconds since then: what it takes to make a tape is no part of it.
	CPU      float64 `json:"cpu_seconds"`
	AckP50Ms float64 `json:"ack_p50_ms"`
	AckP99Ms float64 `json:"ack_p99_ms"`
}

// command is the load as a process of its own, so that its CPU time is not taken for that
// of what it loads. It writes a loadResult to out once every event is acknowledged.
func (l eventLoad) command(ctx context.Context, target string, out io.Writer) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "load", "--target="+target, "--protocol="+string(l.protocol), "--tenant="+l.tenant,
		"--clients="+strconv.Itoa(l.clients), "--batch="+strconv.Itoa(l.batch), "--window="+strconv.Itoa(l.window),
		"--per-session="+strconv.Itoa(l.perSession), "--interactions="+strconv.Itoa(l.interactions),
		"--time="+l.time.String(), "--rate="+strconv.FormatFloat(l.limit, 'f', 0, 64))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd, nil
}

// run sends the load and returns when it is acknowledged.
func (l eventLoad) run(ctx context.Context, target string) (loadResult, usage, error) {
	cmd, err := l.command(ctx, target, nil)
	if err != nil {
		return loadResult{}, usage{}, err
	}
	return runMeasured(cmd, generatorName)
}

// runMeasured runs a process that writes a loadResult, and returns what it used.
func runMeasured(cmd *exec.Cmd, name string) (result loadResult, used usage, err error) {
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		return loadResult{}, usage{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(out, &result); err != nil {
		return loadResult{}, usage{}, fmt.Errorf("read result of %s: %w", name, err)
	}
	return result, usage{name: name, cpu: result.CPU, memory: cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024}, nil
}

// loadMain is the process of an eventLoad.
func loadMain(ctx context.Context, args []string) error {
	var l eventLoad
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	target := flags.String("target", "", "address of the collector")
	flags.StringVar((*string)(&l.protocol), "protocol", "", "flywheel or otlp")
	flags.StringVar(&l.tenant, "tenant", "", "tenant of the events")
	flags.IntVar(&l.clients, "clients", 0, "concurrent clients")
	flags.IntVar(&l.batch, "batch", 0, "events per batch")
	flags.IntVar(&l.window, "window", 0, "batches of a client that may wait for their acknowledgement")
	flags.IntVar(&l.perSession, "per-session", 0, "interactions per session")
	flags.IntVar(&l.interactions, "interactions", 0, "interactions to send, 0 for any number")
	flags.DurationVar(&l.time, "time", 0, "how long to send, 0 for any time")
	flags.Float64Var(&l.limit, "rate", 0, "events per second, 0 for as fast as they are acknowledged")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f := flywheelFormat()
	if l.protocol == otlp {
		f = otlpFormat()
	}
	t, err := newTape(f, l.perSession)
	if err != nil {
		return err
	}
	if l.tenant != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, l.tenant)
	}
	result, err := l.send(ctx, *target, t)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(result))
}

// send sends the load from a tape and returns when it is acknowledged.
func (l eventLoad) send(ctx context.Context, target string, t *tape) (loadResult, error) {
	cpu, err := ownCPU()
	if err != nil {
		return loadResult{}, err
	}
	results := make([]clientResult, l.clients)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i := range l.clients {
		c := newClient(l, t, i, began)
		group.Go(func() (err error) {
			if l.protocol == otlp {
				results[i], err = c.call(ctx, target)
			} else {
				results[i], err = c.stream(ctx, target)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return loadResult{}, err
	}
	result := total(results, time.Since(began))
	result.Began = began.UnixNano()
	after, err := ownCPU()
	result.CPU = after - cpu
	return result, err
}

// ownCPU is the CPU seconds that this process has used.
func ownCPU() (float64, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("read own CPU time: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds(), nil
}

// total is what clients did together in some time.
func total(results []clientResult, took time.Duration) loadResult {
	total := loadResult{Seconds: took.Seconds()}
	var latencies []time.Duration
	for _, r := range results {
		total.Events += r.events
		total.Bytes += r.bytes
		latencies = append(latencies, r.latencies...)
	}
	slices.Sort(latencies)
	total.AckP50Ms = milliseconds(latencies[len(latencies)/2])
	total.AckP99Ms = milliseconds(latencies[len(latencies)*99/100])
	return total
}
