package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/yirifi/flywheel/doctor"
	"github.com/yirifi/flywheel/internal/eventlog"
)

// examine runs the doctor and returns its report and whether it found something wrong.
func examine(t *testing.T, args ...string) (report doctor.Report, wrong bool) {
	t.Helper()
	cmd := start(t, append([]string{"doctor", "--output", "json", "--sample", "500ms"}, args...)...)
	out, err := cmd.wait(t)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		wrong = true
	} else if err != nil {
		t.Fatalf("doctor: %v\n%s", err, out)
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&report); err != nil {
		t.Fatalf("doctor: %v\n%s", err, out)
	}
	if wrong != (report.Count(doctor.Wrong) > 0) {
		t.Errorf("exit code and report differ: %s", out)
	}
	return report, wrong
}

// has reports whether a report has such a finding.
func has(report doctor.Report, check, where string, level doctor.Level) bool {
	return slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool {
		return f.Check == check && f.Where == where && f.Level == level
	})
}

// TestDoctor examines a deployment that is well, one with dead letters, one whose
// ClickHouse stands still while a small lane fills up, and one that was killed.
func TestDoctor(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	report, wrong := examine(t, "--data-dir", u.dir)
	if wrong || len(report.Findings) < 26 || len(report.Capacity) != 3 || !has(report, "ready", "flywheel", doctor.OK) {
		t.Errorf("well: %+v", report)
	}
	at := readAddresses(u.dir)
	// Every part given by itself; the machine may be another one.
	report, wrong = examine(t, "--data-dir", t.TempDir(), "--collector", at.Collector, "--feedback", at.Feedback,
		"--nats-url", at.NATSURL, "--clickhouse-url", at.ClickHouseURL)
	if wrong || len(report.Findings) < 20 || has(report, "sync", "data folder", doctor.OK) {
		t.Errorf("parts by themselves: %+v", report)
	}

	log, err := (natsSettings{}).attach(t.Context(), u.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if err := log.DeadLetter(t.Context(), eventlog.DeadLetter{Reason: "odd", Batch: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	if report, wrong = examine(t, "--data-dir", u.dir); wrong || !has(report, "deadletter", "dead letters", doctor.Warning) {
		t.Errorf("dead letters: %+v", report)
	}

	u.kill(t)
	if report, wrong = examine(t, "--data-dir", u.dir); !wrong || !has(report, "reachable", "collector", doctor.Wrong) || !has(report, "reachable", "event log", doctor.Wrong) {
		t.Errorf("killed: %+v", report)
	}
	out, err := start(t, "doctor", "--data-dir", t.TempDir()).wait(t)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(out, "no 'flywheel up' runs on") {
		t.Errorf("doctor of nothing: %v: %s", err, out)
	}
}

// TestDoctorFindsFaults examines an "up" with a small log whose ClickHouse stands still.
func TestDoctorFindsFaults(t *testing.T) {
	t.Parallel()
	collector, feedback := freeAddresses(t)
	u := startUp(t, t.TempDir(), collector, feedback, "--log-max-outcome", "1MiB")
	log, err := (natsSettings{}).attach(t.Context(), u.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for _, engine := range u.children(t) {
		if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	for range 24 {
		if err := log.Publish(t.Context(), eventlog.Outcome, make([]byte, 40_000)); err != nil {
			t.Fatal(err)
		}
	}
	report, wrong := examine(t, "--data-dir", u.dir)
	if !wrong || !has(report, "reachable", "ClickHouse", doctor.Wrong) || !has(report, "ready", "flywheel", doctor.Wrong) || !has(report, "fill", "outcome lane", doctor.Wrong) ||
		!has(report, "fill", "trace lane", doctor.OK) || !has(report, "reachable", "collector", doctor.OK) {
		t.Errorf("faults: %+v", report)
	}
	u.kill(t)
}
