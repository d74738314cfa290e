package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// contestant is a system, or a floor, that gets the load.
type contestant struct {
	// name is what -layout and results call it, title what a table does.
	name, title string
	// peer says that it is what people would use instead, floor that it is a part of the way
	// alone.
	peer, floor bool
	run         func(context.Context, options) (report, error)
}

// contestants are the systems and floors, in the order of tables and turns.
func contestants() []contestant {
	return []contestant{
		{name: upName, title: "Flywheel, one process", run: runLayout(upName)},
		{name: splitName, title: "Flywheel, a process per role", run: runLayout(splitName)},
		{name: peerName, title: "OpenTelemetry Collector", peer: true, run: runLayout(peerName)},
		{name: diskPeerName, title: "OpenTelemetry Collector, disk", peer: true, run: runLayout(diskPeerName)},
		{name: "floor-engine", title: "floor ClickHouse", floor: true, run: runEngine},
		{name: "floor-log", title: "floor log", floor: true, run: runLog},
		{name: "floor-grpc", title: "floor gRPC", floor: true, run: runGRPC},
	}
}

// groups are the contestants by the layouts that stand for them.
func groups() map[string][]string {
	all := map[string][]string{}
	for _, c := range contestants() {
		all[c.name] = []string{c.name}
		all["systems"] = append(all["systems"], c.name)
		if c.floor {
			all["floors"] = append(all["floors"], c.name)
		}
	}
	return all
}

// runLayout returns what starts everything of a layout in a folder of its own, sends the
// load and waits until all of it is visible.
func runLayout(layout string) func(context.Context, options) (report, error) {
	return func(ctx context.Context, o options) (r report, err error) {
		err = withSystem(ctx, layout, o, func(s *system) (err error) {
			r, err = s.measureLoad(ctx, o)
			return err
		})
		return r, err
	}
}

// measureSystems measures contestants by name. Their runs take turns, so that a machine that
// gets slower or faster meanwhile does so for all; then comes one run of each system at
// half of its rate, which shows what waiting for each other costs.
func measureSystems(ctx context.Context, o options, names []string) (*Result, error) {
	result := &Result{Cores: runtime.NumCPU(), Go: runtime.Version(), Interactions: o.interactions, EventsPer: eventsPer}
	all := slices.DeleteFunc(contestants(), func(c contestant) bool { return !slices.Contains(names, c.name) })
	reports := make([][]report, len(all))
	for n := range o.runs {
		for i, c := range all {
			r, err := c.run(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			reports[i] = append(reports[i], r)
			fmt.Fprintf(os.Stderr, "run %d of %d: %s: %s events/s\n", n+1, o.runs, c.name, whole(r.rate()))
		}
	}
	for i, c := range all {
		measured := summarize(c.name, reports[i])
		if !c.floor {
			half := o
			half.rate = measured.EventsPerSecond.Median / 2
			half.interactions /= 2 // in the same time
			fmt.Fprintf(os.Stderr, "half load: %s: %s events/s\n", c.name, whole(half.rate))
			r, err := c.run(ctx, half)
			if err != nil {
				return nil, fmt.Errorf("%s at half load: %w", c.name, err)
			}
			measured.Half = &HalfLoad{EventsPerSecond: half.rate, Acked: r.acked(), Visible: r.readable.latency(), Counted: r.freshness.latency()}
		}
		result.Systems = append(result.Systems, measured)
	}
	return result, nil
}

// summarize is what the runs of a contestant gave together.
func summarize(name string, reports []report) Measured {
	over := func(figure func(report) float64) (all []float64) {
		for _, r := range reports {
			all = append(all, figure(r))
		}
		return all
	}
	latency := func(of func(report) Latency) Latency {
		return Latency{
			P50: median(over(func(r report) float64 { return of(r).P50 })),
			P99: median(over(func(r report) float64 { return of(r).P99 })),
		}
	}
	m := Measured{
		Name:            name,
		EventsPerSecond: spread(over(report.rate)),
		AckedPerSecond:  spread(over(func(r report) float64 { return float64(r.load.Events) / r.acknowledged.Seconds() })),
		Acked:           latency(report.acked),
		Visible:         latency(func(r report) Latency { return r.readable.latency() }),
		Counted:         latency(func(r report) Latency { return r.freshness.latency() }),
	}
	for i, used := range reports[0].usage {
		m.Processes = append(m.Processes, Process{
			Name:   used.name,
			CPU:    median(over(func(r report) float64 { return r.usage[i].cpu / float64(r.load.Events) * 1e6 })),
			Memory: int64(slices.Max(over(func(r report) float64 { return float64(r.usage[i].memory) }))),
		})
	}
	return m
}

// report is what one run measured.
type report struct {
	load loadResult
	// acknowledged, visible and settled are since the first event was sent.
	acknowledged, visible, settled time.Duration
	// readable is from sending until the event can be read, freshness from its
	// acknowledgement until the rates count it.
	readable, freshness freshness
	usage               []usage
}

// rate is events per second from the first one sent until the last is visible.
func (r report) rate() float64 { return float64(r.load.Events) / r.visible.Seconds() }

func (r report) acked() Latency { return Latency{P50: r.load.AckP50Ms, P99: r.load.AckP99Ms} }

func (f freshness) latency() Latency {
	return Latency{P50: milliseconds(f.p50), P99: milliseconds(f.p99)}
}
