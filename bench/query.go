package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

const (
	// quietTime and busyTime are how long is asked, without a load and beside one.
	quietTime, busyTime = 3 * time.Second, 10 * time.Second
	// steadyRate is the events per second that this machine has to keep up end to end
	// (docs/performance.md); more than that only queues in the log.
	steadyRate = 350_000
	// warmUp is how long a load runs before it is asked beside it.
	warmUp = time.Second
)

// generateRates stores the rates of so many days from some time on, as the settler leaves
// them: of 4 models, 5 languages, 2 surfaces and 2 variants, 80 rows a day.
const generateRates = `INSERT INTO rate_days (tenant, bucket, surface, model, variant, experiment, language, version, settled_at, opportunities, shown, accepted, rejected,
		task_results, retention_count, retained_chars, base_chars, four_gram_sum, four_gram_count, latency)
	SELECT 'default', toDateTime($1, 'UTC') + intDiv(number, 80) * 86400, ['inline_completion', 'next_edit'][1 + number % 2], concat('tab-', toString(intDiv(number, 2) % 4), '@1'),
		['control', 'treatment'][1 + intDiv(number, 8) % 2], 'history', ['go', 'python', 'rust', 'typescript', 'java'][1 + intDiv(number, 16) % 5], 1, now64(3), 1000, 900, 300, 300,
		range(9), range(7), range(7), range(7), range(7), range(7), mapFromArrays(arrayMap(i -> toUInt16(i), range(120, 140)), range(1, 21))
	FROM numbers($2 * 80)`

// storeRates stores the rates of the last historyDays days but today, and returns when they
// begin.
func (s *system) storeRates(ctx context.Context) (since time.Time, err error) {
	since = time.Now().UTC().Truncate(day).Add(-historyDays * day)
	if err := s.db.Conn().Exec(ctx, generateRates, since.Unix(), historyDays); err != nil {
		return since, fmt.Errorf("generate rates: %w", err)
	}
	return since, nil
}

// fullLoad is as much as is acknowledged.
func fullLoad(tenant string) eventLoad {
	return eventLoad{tenant: tenant, clients: 4, batch: 512, window: defaultWindow, perSession: interactionsPerSession}
}

// latencies are how long queries took, the shortest first.
type latencies []time.Duration

// at is the latency that a share of the queries did not exceed, in milliseconds.
func (l latencies) at(share float64) float64 {
	return milliseconds(l[min(len(l)-1, int(share*float64(len(l))))])
}

// asker asks for rates over a connection of its own, always the same.
type asker struct {
	client  flywheelv1.FeedbackServiceClient
	request *flywheelv1.GetRatesRequest
}

// newAskers returns askers for the rates by model since some time, and what closes their
// connections. The requests of alike ones are the same; those of others differ in a
// language that nothing has.
func newAskers(address string, n int, alike bool, since time.Time) (askers []asker, closing func() error, err error) {
	var conns []*grpc.ClientConn
	closing = func() error {
		var errs []error
		for _, conn := range conns {
			errs = append(errs, conn.Close())
		}
		return errors.Join(errs...)
	}
	for i := range n {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("connect to feedback: %w", err), closing())
		}
		conns = append(conns, conn)
		request := &flywheelv1.GetRatesRequest{From: timestamppb.New(since), GroupBy: []flywheelv1.Dimension{flywheelv1.Dimension_DIMENSION_MODEL}}
		if !alike {
			request.Filters = []*flywheelv1.Filter{{
				Dimension: flywheelv1.Dimension_DIMENSION_LANGUAGE,
				Values:    []string{"go", "python", "rust", "typescript", "java", fmt.Sprint("of caller ", i)},
			}}
		}
		askers = append(askers, asker{flywheelv1.NewFeedbackServiceClient(conn), request})
	}
	return askers, closing, nil
}

// askAll lets all ask at once, each again and again as long as more says, which is told
// how many answers it has got.
func askAll(ctx context.Context, askers []asker, more func(answers int) bool) (latencies, error) {
	took := make([]latencies, len(askers))
	group, ctx := errgroup.WithContext(ctx)
	for i, a := range askers {
		group.Go(func() error {
			for more(len(took[i])) {
				began := time.Now()
				if _, err := a.client.GetRates(ctx, a.request); err != nil {
					return fmt.Errorf("ask for rates: %w", err)
				}
				took[i] = append(took[i], time.Since(began))
			}
			return nil
		})
	}
	err := group.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	if err == nil && len(all) == 0 {
		err = errors.New("ask for rates: there was no time for a query")
	}
	return all, err
}

// queryRow is a row of the table.
type queryRow struct {
	layout  string
	callers int
	alike   bool
	// busy says that a load runs meanwhile, rate bounds it.
	busy bool
	rate float64
	// ingest is how many events per second were acknowledged.
	ingest float64
	took   latencies
}

// queryRows are the rows of a layout: without a load, beside half and all of the steady
// rate, and beside as much as is acknowledged.
func queryRows(layout string) (rows []queryRow) {
	askers := []queryRow{{callers: 1}, {callers: 8}, {callers: 64}, {callers: 8, alike: true}, {callers: 64, alike: true}}
	rows = append(rows, askers...)
	rows = append(rows, queryRow{callers: 1, busy: true, rate: steadyRate / 2}, queryRow{callers: 1, busy: true, rate: steadyRate})
	for _, row := range askers {
		row.busy = true
		rows = append(rows, row)
	}
	for i := range rows {
		rows[i].layout = layout
	}
	return rows
}

// measureQuery asks for rates by model over historyDays days, with and without a load
// beside it that is as fast as it is acknowledged.
func measureQuery(ctx context.Context, o options) error {
	var rows []queryRow
	for _, layout := range []string{"up", "split"} {
		err := withSystem(ctx, layout, o, func(s *system) error {
			since, err := s.storeRates(ctx)
			if err != nil {
				return err
			}
			q := queried{system: s, since: since}
			measured, err := q.measure(ctx, layout)
			rows = append(rows, measured...)
			return err
		})
		if err != nil {
			return err
		}
	}
	printQueries(os.Stdout, rows)
	return nil
}

// queried is a system that is asked: since when, and how many interactions the loads beside
// the queries have stored.
type queried struct {
	*system

	since  time.Time
	stored int
}

// measure measures every row of a layout.
func (q *queried) measure(ctx context.Context, layout string) (rows []queryRow, err error) {
	for _, row := range queryRows(layout) {
		if err := q.ask(ctx, &row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
		fmt.Fprintf(os.Stderr, "query: %s\n", row)
	}
	return rows, nil
}

// ask measures one row.
func (q *queried) ask(ctx context.Context, row *queryRow) (err error) {
	askers, closing, err := newAskers(q.feedback, row.callers, row.alike, q.since)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	if !row.busy {
		row.took, err = askFor(ctx, askers, quietTime)
		return err
	}
	return q.askBusy(ctx, row, askers)
}

// askFor lets askers ask for some time.
func askFor(ctx context.Context, askers []asker, some time.Duration) (latencies, error) {
	end := time.Now().Add(some)
	return askAll(ctx, askers, func(int) bool { return time.Now().Before(end) })
}

// askBusy lets askers ask while a load runs, and returns when all of it is settled.
func (q *queried) askBusy(ctx context.Context, row *queryRow, askers []asker) error {
	load := fullLoad(rpc.DefaultTenant)
	load.time, load.limit = warmUp+busyTime, row.rate
	group, both := errgroup.WithContext(ctx)
	var result loadResult
	group.Go(func() (err error) {
		result, _, err = load.run(both, q.collector)
		return err
	})
	group.Go(func() (err error) {
		select {
		case <-time.After(warmUp):
		case <-both.Done():
			return both.Err()
		}
		row.took, err = askFor(both, askers, busyTime)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	row.ingest = float64(result.Events) / result.Seconds
	q.stored += result.Events / eventsPer
	_, err := q.waitSettled(ctx, rpc.DefaultTenant, q.stored, time.Now())
	return err
}

// String says what the row measured.
func (r queryRow) String() string {
	requests, ingest := "each its own", "none"
	if r.alike {
		requests = "the same"
	}
	if r.ingest > 0 {
		ingest = whole(r.ingest)
	}
	return fmt.Sprintf("%s\t%s\t%d\t%s\t%d\t%.1f\t%.1f\t%.1f\t", r.layout, ingest, r.callers, requests, len(r.took), r.took.at(0.5), r.took.at(0.99), r.took.at(1))
}

func printQueries(w io.Writer, rows []queryRow) {
	fmt.Fprintf(w, "\nGetRates by model over %d days, %d cores, %s\n", historyDays, runtime.NumCPU(), runtime.Version())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "layout\tevents/s beside\tcallers\trequests\tanswers\tp50 ms\tp99 ms\tmax ms\t")
	for _, r := range rows {
		fmt.Fprintln(out, r)
	}
	_ = out.Flush()
}
