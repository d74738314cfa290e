package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/trainset/formats"
)

// exportDays is over how many days the exported signals are spread.
const exportDays = 10

// measureExport exports signals to Parquet, and lets ClickHouse write the same columns of
// the same signals to Parquet itself, in turns.
func measureExport(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := startExport(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	made, peak, err := s.export(ctx, o.binary, filepath.Join(dir, "first"), "--format=signals", "--include-unsettled")
	if err != nil {
		return err
	}
	direct, err := s.fromTheView(ctx)
	if err != nil {
		return err
	}
	id, table, err := s.trainingSet(ctx)
	if err != nil {
		return err
	}
	var theirs, lean, ours []time.Duration
	for n := range o.runs {
		took, err := s.writeDirectly(ctx, table)
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
		took, err = s.writeDirectly(ctx, table, "output_format_parquet_write_bloom_filter = 0")
		if err != nil {
			return err
		}
		lean = append(lean, took)
		took, memory, err := s.export(ctx, o.binary, filepath.Join(dir, fmt.Sprint("export-", n)), "--training-set="+id)
		if err != nil {
			return err
		}
		ours, peak = append(ours, took), max(peak, memory)
		fmt.Fprintf(os.Stderr, "export: run %d of %d: ClickHouse %.1f s, flywheel export %.1f s\n", n+1, o.runs, theirs[n].Seconds(), took.Seconds())
	}
	service, err := peakMemory(s.processes[len(s.processes)-1].pid)
	if err != nil {
		return err
	}
	rate := func(all ...time.Duration) float64 {
		slices.Sort(all)
		return float64(o.exported) / all[len(all)/2].Seconds()
	}
	alone, exported := rate(theirs...), rate(ours...)
	fmt.Printf("\nexport of %s signals to Parquet, %d cores, %s, median of %d\n", humanize.Comma(int64(o.exported)), runtime.NumCPU(), runtime.Version(), o.runs)
	fmt.Printf("  files of a training set    flywheel export %s rows/s, ClickHouse alone %s rows/s: %.0f %%\n", whole(exported), whole(alone), 100*exported/alone)
	fmt.Printf("  without Bloom filters, as our files are: ClickHouse alone %s rows/s\n", whole(rate(lean...)))
	fmt.Printf("  made, frozen and written   flywheel export %s rows/s; ClickHouse from the view training_signals, nothing kept, %s rows/s\n", whole(rate(made)), whole(rate(direct)))
	fmt.Printf("  peak memory                feedback service %s, flywheel export %s\n", humanize.IBytes(uint64(service)), humanize.IBytes(uint64(peak)))
	return nil
}

// startExport starts the engine and the service, and stores signals.
func startExport(ctx context.Context, o options, dir string) (s *system, err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s = &system{parquet: filepath.Join(dir, "direct.parquet")}
	if s.engine, err = engine.Start(ctx, engine.Config{DataDir: filepath.Join(dir, "clickhouse")}, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.db, err = warehouse.Open(ctx, s.engine.DSN("flywheel"), log); err != nil {
		return s, err
	}
	if err := s.db.Migrate(ctx); err != nil {
		return s, err
	}
	first := time.Now().UTC().Truncate(day).Add(-exportDays * day)
	for n := range exportDays {
		if err := s.db.Conn().Exec(ctx, generateDay[0], first.Add(time.Duration(n)*day).UnixMilli(), o.exported/exportDays); err != nil {
			return s, fmt.Errorf("generate a day: %w", err)
		}
	}
	if err := s.waitCount(ctx, "SELECT count() FROM system.merges", 0); err != nil {
		return s, err
	}
	ports, err := freeAddresses(ctx, 1)
	if err != nil {
		return s, err
	}
	s.feedback = ports[0]
	return s, errors.Join(
		s.start(ctx, "feedback", o.binary, "feedback", "--feedback-listen="+s.feedback, "--clickhouse-url="+s.engine.DSN("flywheel")),
		waitFor(ctx, s.feedback))
}

// trainingSet is the one training set that there is, and its table.
func (s *system) trainingSet(ctx context.Context) (id, table string, err error) {
	err = s.db.Conn().QueryRow(ctx, "SELECT toString(training_set_id), rows_table FROM training_sets FINAL").Scan(&id, &table)
	if err != nil {
		return "", "", fmt.Errorf("find training set: %w", err)
	}
	return id, table, nil
}

// columns are those of the format signals as the files have them.
func columns() string {
	var all []string
	for _, field := range formats.Schema(flywheelv1.TrainingFormat_TRAINING_FORMAT_SIGNALS) {
		all = append(all, field.Name)
	}
	return "* REPLACE (toString(interaction_id) AS interaction_id, toString(opportunity_id) AS opportunity_id, toString(session_id) AS session_id, " +
		"toString(superseded_by) AS superseded_by, toString(label) AS label, toString(thumb) AS thumb) FROM (SELECT " + strings.Join(all, ", ")
}

// writeDirectly lets ClickHouse write the columns of the rows of a training set.
func (s *system) writeDirectly(ctx context.Context, table string, settings ...string) (time.Duration, error) {
	return s.timed(ctx, fmt.Sprintf("INSERT INTO FUNCTION file('%s', 'Parquet') SELECT %s FROM %s)", s.parquet, columns(), table), settings...)
}

// fromTheView lets ClickHouse write the columns of the signals as it computes them.
func (s *system) fromTheView(ctx context.Context) (time.Duration, error) {
	return s.timed(ctx, "INSERT INTO FUNCTION file('"+s.parquet+"', 'Parquet') SELECT "+columns()+" FROM training_signals WHERE definition = 1 AND tenant = 'default' AND shown)")
}

func (s *system) timed(ctx context.Context, statement string, settings ...string) (time.Duration, error) {
	began := time.Now()
	if err := s.db.Conn().Exec(ctx, statement+" SETTINGS "+strings.Join(append(settings, "engine_file_truncate_on_insert = 1"), ", ")); err != nil {
		return 0, fmt.Errorf("write Parquet by ClickHouse: %w", err)
	}
	return time.Since(began), nil
}

// export runs 'flywheel export' and returns how long it took and how much memory it had.
func (s *system) export(ctx context.Context, binary, dir string, args ...string) (time.Duration, int64, error) {
	cmd := exec.CommandContext(ctx, binary, append([]string{"export", "--encoding=parquet", "--out=" + dir, "--feedback=" + s.feedback, "--log-level=warn"}, args...)...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("flywheel export: %w", err)
	}
	return time.Since(began), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024, os.RemoveAll(dir)
}
