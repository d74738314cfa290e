package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/yirifi/flywheel/feedback"
	"github.com/yirifi/flywheel/internal/engine"
	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor"
)

const (
	historyDays = 90
	// settleDays is how many days are stored before they are settled.
	settleDays = 10
	day        = 24 * time.Hour
	// historyQueries is how many queries each caller sends.
	historyQueries = 500
)

// generateDay stores a day of interactions and as many opportunities, evenly spread, of
// 4 models, 5 languages, 2 surfaces and 2 variants: 80 combinations a minute, and a
// thousand users.
var generateDay = []string{
	`INSERT INTO interactions
		(tenant, started_at, interaction_id, user, surface, model, variant, experiment, language, output_chars, shown_at, shown_latency_us,
		visible_us, outcome_rank, accepted_chars, retained_chars_0, retained_chars_300)
	WITH cityHash64(number, $1) AS h
	SELECT 'default', fromUnixTimestamp64Milli($1 + intDiv(number * 86400000, $2)), generateUUIDv4(), concat('user ', toString(h % 1000)),
		['inline_completion', 'next_edit'][1 + h % 2], concat('tab-', toString(h % 4), '@1'), ['control', 'treatment'][1 + intDiv(h, 3) % 2], 'history',
		['go', 'python', 'rust', 'typescript', 'java'][1 + intDiv(h, 7) % 5], 40, fromUnixTimestamp64Milli($1), 100000 + h % 400000,
		800000, bitOr(bitShiftLeft(toUInt64(if(h % 3 = 0, 3, 0)), 62), if(h % 3 = 0, 1, 6)), if(h % 3 = 0, 40, 0), if(h % 3 = 0, 41, 0), if(h % 3 = 0, 31, 0)
	FROM numbers_mt($2)`,
	`INSERT INTO opportunities (tenant, started_at, opportunity_id, surface, model, variant, experiment, language, requested_at)
	WITH cityHash64(number, $1) AS h
	SELECT 'default', fromUnixTimestamp64Milli($1 + intDiv(number * 86400000, $2)), generateUUIDv4(),
		['inline_completion', 'next_edit'][1 + h % 2], concat('tab-', toString(h % 4), '@1'), ['control', 'treatment'][1 + intDiv(h, 3) % 2], 'history',
		['go', 'python', 'rust', 'typescript', 'java'][1 + intDiv(h, 7) % 5], fromUnixTimestamp64Milli($1)
	FROM numbers_mt($2)`,
	`INSERT INTO bucket_touches SELECT 'default', toDateTime(intDiv($1, 1000) + number * 60, 'UTC'), 1, fromUnixTimestamp64Milli($1) FROM numbers(1440) WHERE $2 > 0`,
}

// historyRow is what a history of some size costs.
type historyRow struct {
	interactions int
	// storing is without what is merged later.
	storing, settling time.Duration
	// raw are the bytes on disk of interactions and opportunities once they are merged,
	// rates those of everything that queries read.
	raw, rates uint64
	one, eight latencies
}

// measureHistory measures histories of a tenth of some size and of that size.
func measureHistory(ctx context.Context, interactions int) error {
	var rows []historyRow
	for _, n := range []int{interactions / 10, interactions} {
		row, err := measureDays(ctx, n/historyDays*historyDays)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	printHistory(os.Stdout, rows)
	return nil
}

// measureDays fills 90 days, lets the settler settle them, and asks for the rates by
// model over all of it.
func measureDays(ctx context.Context, interactions int) (row historyRow, err error) {
	err = withDatabase(ctx, func(db *warehouse.DB, log *slog.Logger) error {
		row.interactions = interactions
		first := time.Now().UTC().Truncate(day).Add(-historyDays * day)
		if err := row.fill(ctx, db, first, log); err != nil {
			return err
		}
		// What was stored at once is merged first, for which real life has 90 days.
		if err := (&system{db: db}).waitCount(ctx, "SELECT count() FROM system.merges", 0); err != nil {
			return err
		}
		for tables, bytes := range map[string]*uint64{"table IN ('interactions', 'opportunities')": &row.raw, "table LIKE '%rate%'": &row.rates} {
			if err := db.Conn().QueryRow(ctx, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND "+tables).Scan(bytes); err != nil {
				return fmt.Errorf("read sizes on disk: %w", err)
			}
		}
		return row.ask(ctx, db, first, log)
	})
	return row, err
}

// withDatabase starts an engine in a folder of its own, for as long as f takes.
func withDatabase(ctx context.Context, f func(*warehouse.DB, *slog.Logger) error) (err error) {
	dir, err := os.MkdirTemp("", "flywheel-bench-")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	eng, err := engine.Start(ctx, engine.Config{DataDir: filepath.Join(dir, "clickhouse")}, log)
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
		defer cancel()
		err = errors.Join(err, eng.Stop(ending))
	}()
	db, err := warehouse.Open(ctx, eng.DSN("flywheel"), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	return f(db, log)
}

// generate stores a day of interactions.
func generate(ctx context.Context, db *warehouse.DB, first time.Time, interactions int) error {
	for _, sql := range generateDay {
		if err := db.Conn().Exec(ctx, sql, first.UnixMilli(), interactions); err != nil {
			return fmt.Errorf("generate a day: %w", err)
		}
	}
	return nil
}

// fill stores days and settles them.
func (r *historyRow) fill(ctx context.Context, db *warehouse.DB, first time.Time, log *slog.Logger) error {
	settler, err := processor.NewSettler(processor.DefaultSettlerConfig(), db, log)
	if err != nil {
		return fmt.Errorf("make settler: %w", err)
	}
	for n := range historyDays {
		began := time.Now()
		if err := generate(ctx, db, first.Add(time.Duration(n)*day), r.interactions/historyDays); err != nil {
			return err
		}
		r.storing += time.Since(began)
		if (n+1)%settleDays != 0 {
			continue
		}
		began = time.Now()
		if _, err := settler.SettleOnce(ctx); err != nil {
			return err
		}
		r.settling += time.Since(began)
		fmt.Fprintf(os.Stderr, "history: %d of %d days stored and settled\n", n+1, historyDays)
	}
	return nil
}

// ask measures the query, by one caller and by eight at once that ask for different things.
func (r *historyRow) ask(ctx context.Context, db *warehouse.DB, first time.Time, log *slog.Logger) (err error) {
	service, err := feedback.New(feedback.DefaultConfig(), db, log)
	if err != nil {
		return fmt.Errorf("make feedback service: %w", err)
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- service.Serve(serving, lis) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()
	for _, at := range []struct {
		callers int
		took    *latencies
	}{{1, &r.one}, {8, &r.eight}} {
		askers, closing, err := newAskers(lis.Addr().String(), at.callers, at.callers == 1, first)
		if err != nil {
			return err
		}
		err = askers[0].check(ctx, r.interactions)
		if err == nil {
			*at.took, err = askAll(ctx, askers, func(answers int) bool { return answers < historyQueries })
		}
		if err := errors.Join(err, closing()); err != nil {
			return err
		}
	}
	return nil
}

// check is an error unless the rates count so many interactions.
func (a asker) check(ctx context.Context, interactions int) error {
	resp, err := a.client.GetRates(ctx, a.request)
	if err != nil {
		return fmt.Errorf("ask for rates: %w", err)
	}
	var shown uint64
	for _, row := range resp.GetRows() {
		shown += row.GetCounts().GetShown()
	}
	if shown != uint64(interactions) {
		return fmt.Errorf("the rates count %d interactions, %d were stored", shown, interactions)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func printHistory(w io.Writer, rows []historyRow) {
	fmt.Fprintf(w, "\nhistories of interactions and as many opportunities in %d days, %d cores, %s\n", historyDays, runtime.NumCPU(), runtime.Version())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "  interactions\tstored/s\tsettled/s\ton disk\tof it rates\tGetRates p50 ms\tp99 ms\t8 at once p50 ms\tp99 ms\t")
	for _, r := range rows {
		n := float64(r.interactions)
		fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%.1f\t\n", whole(n), whole(n/r.storing.Seconds()), whole(n/r.settling.Seconds()),
			humanize.IBytes(r.raw+r.rates), humanize.IBytes(r.rates), r.one.at(0.5), r.one.at(0.99), r.eight.at(0.5), r.eight.at(0.99))
	}
	_ = out.Flush()
}
