package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yirifi/flywheel/feedback"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
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

// measureHistory fills 90 days, lets the settler settle them, and asks for the rates by
// model over all of it.
func measureHistory(ctx context.Context, interactions int) (err error) {
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
	first := time.Now().UTC().Truncate(day).Add(-historyDays * day)
	settling, err := fill(ctx, db, first, interactions, log)
	if err != nil {
		return err
	}
	// What was stored at once is merged first, for which real life has 90 days.
	if err := (&system{db: db}).waitCount(ctx, "SELECT count() FROM system.merges", 0); err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "\nhistory of %s interactions and as many opportunities in %d days, %d cores, %s\n",
		humanize.Comma(int64(interactions)), historyDays, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(os.Stdout, "  settled in %.0f s: %s interactions/s into minutes, hours, days and users\n",
		settling.Seconds(), whole(float64(interactions)/settling.Seconds()))
	return ask(ctx, db, first, interactions, log)
}

// fill stores days and settles them, and returns how long settling took.
func fill(ctx context.Context, db *warehouse.DB, first time.Time, interactions int, log *slog.Logger) (settling time.Duration, err error) {
	settler, err := processor.NewSettler(processor.DefaultSettlerConfig(), db, log)
	if err != nil {
		return 0, fmt.Errorf("make settler: %w", err)
	}
	for n := range historyDays {
		for _, sql := range generateDay {
			if err := db.Conn().Exec(ctx, sql, first.Add(time.Duration(n)*day).UnixMilli(), interactions/historyDays); err != nil {
				return 0, fmt.Errorf("generate a day: %w", err)
			}
		}
		if (n+1)%settleDays != 0 {
			continue
		}
		began := time.Now()
		if _, err := settler.SettleOnce(ctx); err != nil {
			return 0, err
		}
		settling += time.Since(began)
		fmt.Fprintf(os.Stderr, "history: %d of %d days stored and settled\n", n+1, historyDays)
	}
	return settling, nil
}

// ask measures the query, by one caller and by eight at once.
func ask(ctx context.Context, db *warehouse.DB, first time.Time, interactions int, log *slog.Logger) (err error) {
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
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	client := flywheelv1.NewFeedbackServiceClient(conn)
	request := &flywheelv1.GetRatesRequest{From: timestamppb.New(first), GroupBy: []flywheelv1.Dimension{flywheelv1.Dimension_DIMENSION_MODEL}}
	resp, err := client.GetRates(ctx, request)
	if err != nil {
		return fmt.Errorf("ask for rates: %w", err)
	}
	var shown uint64
	for _, row := range resp.GetRows() {
		shown += row.GetCounts().GetShown()
	}
	if want := uint64(interactions / historyDays * historyDays); shown != want {
		return fmt.Errorf("the rates count %d interactions, %d were stored", shown, want)
	}
	for _, callers := range []int{1, 8} {
		took, err := callAll(ctx, client, request, callers)
		if err != nil {
			return err
		}
		slices.Sort(took)
		n := len(took)
		fmt.Fprintf(os.Stdout, "  GetRates by model over %d days, %d at once: p50 %.1f ms, p99 %.1f ms, max %.1f ms of %d\n", historyDays, callers,
			milliseconds(took[n/2]), milliseconds(took[n*99/100]), milliseconds(took[n-1]), n)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// callAll returns how long each of the callers' queries took.
func callAll(ctx context.Context, client flywheelv1.FeedbackServiceClient, request *flywheelv1.GetRatesRequest, callers int) ([]time.Duration, error) {
	took := make([][]time.Duration, callers)
	group, ctx := errgroup.WithContext(ctx)
	for i := range callers {
		group.Go(func() error {
			for range historyQueries {
				began := time.Now()
				if _, err := client.GetRates(ctx, request); err != nil {
					return fmt.Errorf("ask for rates: %w", err)
				}
				took[i] = append(took[i], time.Since(began))
			}
			return nil
		})
	}
	err := group.Wait()
	return slices.Concat(took...), err
}
