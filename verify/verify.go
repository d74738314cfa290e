// Package verify counts everything again from the partial rows as they are stored, in
// plain Go, one interaction at a time, and compares that with what reports and training
// sets read: rates, their sums per hour and day, the rates of users, and the labels and
// rewards of every definition.
//
// It shares neither SQL nor code with the settler, so a mistake would have to be made
// twice to go unnoticed; labels and rewards are those of signal.Definition, which the
// view computes in SQL. It only reads, also while data comes in: see DESIGN.md.
package verify

import (
	"context"
	_ "embed" // the statements
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
	"github.com/yirifi/flywheel/registry"
)

var (
	//go:embed sql/days.sql
	daysSQL string
	//go:embed sql/hours.sql
	hoursSQL string
	//go:embed sql/interactions.sql
	interactionsSQL string
	//go:embed sql/opportunities.sql
	opportunitiesSQL string
	//go:embed sql/rates.sql
	ratesSQL string
	//go:embed sql/user_rate_hours.sql
	userHoursSQL string
	//go:embed sql/user_rates.sql
	userDaysSQL string
	//go:embed sql/signals.sql
	signalsSQL string
	//go:embed sql/versions.sql
	versionsSQL string
	//go:embed sql/rollup_versions.sql
	rollupVersionsSQL string
)

// endOfTime is the last second that ClickHouse's DateTime holds.
const endOfTime = 1<<32 - 1

// Verifier compares what is stored with a recount of the raw rows.
type Verifier struct {
	cfg    Config
	db     *warehouse.DB
	log    *slog.Logger
	limits limits

	definitions []signal.Definition
	advance     func(rows uint64)
}

// New returns a verifier of db, which it does not own.
func New(cfg Config, db *warehouse.DB, log *slog.Logger) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure verification: %w", err)
	}
	return &Verifier{
		cfg: cfg, db: db, log: log,
		limits: limits{uint64(cfg.MinRead.Microseconds()), uint64(cfg.MinReject.Microseconds())},
	}, nil
}

func (v *Verifier) conn() driver.Conn { return v.db.Conn() }

// versions are those of the definitions that are compared.
func (v *Verifier) versions() (all []uint32) {
	for _, d := range v.definitions {
		all = append(all, d.Version)
	}
	return all
}

// Run verifies once and returns what it found; differences are no error. It calls
// progress, one call at a time, with how many of how many rows are done. Calls of Run
// must not run concurrently.
func (v *Verifier) Run(ctx context.Context, progress func(done, total int)) (report *Report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("verify: %w", err)
		}
	}()
	if v.definitions, err = registry.Definitions(ctx, v.db); err != nil {
		return nil, err
	}
	days, err := v.days(ctx)
	if err != nil {
		return nil, err
	}
	v.advance = meter(days, progress)
	report = &Report{InFlux: map[string]int{}}
	w := &watch{v: v, report: report, pending: map[place]*pending{}}
	for _, d := range days {
		p, err := v.pass(ctx, d.scope)
		if err != nil {
			return nil, err
		}
		report.Interactions += p.interactions
		report.Opportunities += p.opportunities
		report.Minutes += p.minutes
		report.Signals += p.signals
		report.Expired += p.expired
		w.add(p.findings, d)
		if len(w.pending) > maxPending {
			if err := w.settle(ctx); err != nil {
				return nil, err
			}
		}
		if report.Partial {
			return report, nil
		}
	}
	v.advance = func(uint64) {}
	return report, w.settle(ctx)
}

// meter adds up the rows that are done.
func meter(days []dayScope, progress func(done, total int)) func(uint64) {
	var total, done uint64
	for _, d := range days {
		total += d.rows
	}
	var mu sync.Mutex
	return func(rows uint64) {
		mu.Lock()
		defer mu.Unlock()
		done += rows
		progress(int(done), int(max(total, done)))
	}
}

// scope is a span of time inside one day, in Unix seconds, of a tenant or, when that is
// empty, of all.
type scope struct {
	tenant   string
	from, to int64
	// gone: there are no interactions in this day any more.
	gone bool
}

// whole reports whether it is a whole day.
func (s scope) whole() bool { return s.from%day == 0 && s.to-s.from == day }

// dayScope is the scope of a day, with its number of rows.
type dayScope struct {
	scope

	rows uint64
}

// days finds the days that hold anything.
func (v *Verifier) days(ctx context.Context) (days []dayScope, err error) {
	from, to := int64(0), int64(endOfTime)
	if !v.cfg.From.IsZero() {
		from = v.cfg.From.Truncate(time.Hour).Unix()
	}
	if !v.cfg.To.IsZero() {
		to = v.cfg.To.Add(time.Hour - 1).Truncate(time.Hour).Unix()
	}
	rows, err := v.conn().Query(ctx, daysSQL, clickhouse.Named("tenant", v.cfg.Tenant), clickhouse.Named("from", from), clickhouse.Named("to", to))
	if err != nil {
		return nil, fmt.Errorf("find days: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var start uint32
		var count, whole uint64
		if err := rows.Scan(&start, &count, &whole); err != nil {
			return nil, fmt.Errorf("find days: %w", err)
		}
		s := scope{tenant: v.cfg.Tenant, from: max(from, int64(start)), to: min(to, int64(start)+day), gone: whole == 0}
		days = append(days, dayScope{s, count})
	}
	return days, rows.Err()
}
