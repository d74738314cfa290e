package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// Result is what one run of the command measured of the systems, all on one machine in
// one go. It is what -json writes.
type Result struct {
	// Cores and Go are the machine's cores and the version of Go.
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	// Interactions is how many interactions each system got per run, of EventsPer events.
	Interactions int `json:"interactions"`
	EventsPer    int `json:"events_per_interaction"`
	// Systems are in the order of [contestants]; those that were not asked for are missing.
	Systems []Measured `json:"systems"`
}

// Measured is what several runs of one system, or of one floor, gave. Where it says
// median, it is the median over the runs; a floor has no visible events and no half load.
type Measured struct {
	// Name is one of [contestants].
	Name string `json:"name"`
	// EventsPerSecond counts from the first event sent until the last one is visible, of a
	// floor until the last one is answered.
	EventsPerSecond Spread `json:"events_per_second"`
	// AckedPerSecond counts until the last event is acknowledged.
	AckedPerSecond Spread `json:"acknowledged_per_second"`
	// Processes are those that took part, the load generator last.
	Processes []Process `json:"processes"`
	// Acked and Visible are how long it took from sending to the acknowledgement, and until
	// a probe beside the load could be read.
	Acked   Latency `json:"acknowledged"`
	Visible Latency `json:"visible"`
	// Counted is from the acknowledgement of a probe until GetRates counts it; Flywheel only.
	Counted Latency `json:"counted"`
	// Half is the same at half of the median rate.
	Half *HalfLoad `json:"half_load,omitempty"`
}

// HalfLoad is what the runs at half load gave.
type HalfLoad struct {
	// EventsPerSecond is the rate of the load.
	EventsPerSecond float64 `json:"events_per_second"`
	Acked           Latency `json:"acknowledged"`
	Visible         Latency `json:"visible"`
	Counted         Latency `json:"counted"`
}

// Spread is a figure of several runs.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Runs are the figures in the order of the runs. Runs of the same number of different
	// systems follow each other directly: compare these.
	Runs []float64 `json:"runs"`
}

// Process is what one process took.
type Process struct {
	Name string `json:"name"`
	// CPU is CPU seconds per million events, the median over the runs.
	CPU float64 `json:"cpu_seconds_per_million"`
	// Memory is the largest resident set in bytes, the largest of the runs.
	Memory int64 `json:"peak_memory_bytes"`
}

// Latency is in milliseconds, the medians over the runs.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// System returns what was measured of one system, nil when it was not.
func (r *Result) System(name string) *Measured {
	for i := range r.Systems {
		if r.Systems[i].Name == name {
			return &r.Systems[i]
		}
	}
	return nil
}

// Ratio is the events per second of one system divided by those of another, run by run.
// Both must have been measured.
func (r *Result) Ratio(of, over string) Spread {
	var ratios []float64
	for i, rate := range r.System(of).EventsPerSecond.Runs {
		ratios = append(ratios, rate/r.System(over).EventsPerSecond.Runs[i])
	}
	return spread(ratios)
}

// CPU is the CPU seconds per million events of all processes.
func (m *Measured) CPU() (sum float64) {
	for _, p := range m.Processes {
		sum += p.CPU
	}
	return sum
}

// write writes the result to a file.
func (r *Result) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// spread is what the figures of several runs give together.
func spread(runs []float64) Spread {
	return Spread{Median: median(runs), Min: slices.Min(runs), Max: slices.Max(runs), Runs: runs}
}

// median is the middle one of figures, or the mean of the two in the middle.
func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
