package trainset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// The steps of making a training set, as clients see them.
const (
	stepWaiting   = "waiting"
	stepQueued    = "queued"
	stepSelecting = "selecting"
	stepDuplicate = "removing duplicates"
	stepReading   = "reading texts"
	stepChoosing  = "choosing"
	stepFreezing  = "freezing"
)

// Why a row is left out.
const (
	flawDuplicate     = "duplicate"
	flawNearDuplicate = "near_duplicate"
	flawContaminated  = "contaminated"
	flawTooLong       = "too_long"
	flawPerUser       = "per_user"
	flawBalance       = "balance"
)

// rowKey is by what the rows of a training set's tables are distributed on a cluster.
const rowKey = "row_id"

// candidates is the table of all rows that were selected, flaws that of those left out.
func (j *job) candidates() string { return j.set.table + "_candidates" }
func (j *job) flaws() string      { return j.set.table + "_flaws" }

// good is the condition of the rows that are not left out so far.
func (j *job) good() string {
	return "row_flaw = '' AND row_id NOT IN (SELECT row_id FROM " + j.flaws() + ")"
}

// make makes the table of the set's rows.
func (j *job) make(ctx context.Context) (err error) {
	p, wrong := newPlan(j.set.tenant, j.set.request)
	if err := wrong.Err(); err != nil {
		return err
	}
	j.plan = p
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{stepSelecting, j.selectRows},
		{stepDuplicate, j.removeDuplicates},
		{stepReading, j.inspect},
		{stepChoosing, j.choose},
		{stepFreezing, j.freeze},
	} {
		j.change(func(s *set) { s.progress.Step = step.name })
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// chunk is a time range of interactions, in Unix milliseconds, to exclusive.
type chunk struct {
	from, to int64
	rows     uint64
}

// chunks divides the selection's time range by whole hours, so that each chunk has about
// so many interactions.
func (j *job) chunks(ctx context.Context, most uint64) ([]chunk, error) {
	from, to := j.plan.span()
	return j.hours(ctx, from, to, most, `
		SELECT toStartOfHour(started_at) AS hour, count() FROM interactions
		WHERE tenant = {tenant:String} AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
		GROUP BY hour ORDER BY hour`,
		clickhouse.Named("tenant", j.set.tenant), clickhouse.Named("from_ms", from), clickhouse.Named("to_ms", to))
}

// selectRows makes the tables of what is selected and of what is left out.
func (j *job) selectRows(ctx context.Context) error {
	if err := j.db.Create(ctx, j.flaws(), rowKey, "CREATE TABLE "+j.flaws()+" (row_id UUID, flaw LowCardinality(String)) ENGINE = MergeTree ORDER BY row_id"); err != nil {
		return err
	}
	if j.plan.format.compose != nil {
		return j.plan.format.compose(ctx, j)
	}
	sql, err := j.plan.statement()
	if err != nil {
		return err
	}
	if j.plan.straight() {
		return j.copyRows(ctx, j.set.table, frozenEngine, j.frozen()+" FROM ("+sql+")")
	}
	return j.copyRows(ctx, j.candidates(), "ENGINE = MergeTree ORDER BY (row_at, row_id)", sql)
}

// copyRows makes a table of what a statement gives for one chunk after the other.
func (j *job) copyRows(ctx context.Context, table, engine, sql string) error {
	chunks, err := j.chunks(ctx, uint64(j.service.cfg.ChunkRows))
	if err != nil {
		return fmt.Errorf("look where the interactions are: %w", err)
	}
	if err := j.db.CreateAs(ctx, table, rowKey, engine, sql, j.plan.arguments(0, 0)...); err != nil {
		return err
	}
	return j.inChunks(chunks, func(c chunk) error {
		return j.db.Conn().Exec(ctx, "INSERT INTO "+table+"\n"+sql, j.plan.arguments(c.from, c.to)...)
	})
}

// progress notes how much of a step is done.
func (j *job) progress(began time.Time, done, all uint64) {
	j.change(func(s *set) {
		s.progress.Rows, s.progress.ExpectedRows = done, all
		if done > 0 {
			s.progress.EtaS = time.Since(began).Seconds() * float64(all-min(done, all)) / float64(done)
		}
	})
}

// leaveOut notes rows that are left out: those that a query gives.
func (j *job) leaveOut(ctx context.Context, flaw, query string, args ...any) error {
	err := j.db.Conn().Exec(ctx, "INSERT INTO "+j.flaws()+" SELECT row_id, '"+flaw+"' FROM ("+query+")", args...)
	if err != nil {
		return fmt.Errorf("leave out rows (%s): %w", flaw, err)
	}
	return nil
}

// removeDuplicates leaves out rows whose text an earlier one has.
func (j *job) removeDuplicates(ctx context.Context) error {
	if j.plan.request.GetQuality().GetKeepDuplicates() || len(j.plan.format.texts) == 0 {
		return nil
	}
	return j.leaveOut(ctx, flawDuplicate, `
		SELECT row_id FROM `+j.candidates()+`
		WHERE row_flaw = '' AND (row_at, row_id) NOT IN (SELECT min((row_at, row_id)) FROM `+j.candidates()+` WHERE row_flaw = '' GROUP BY row_text)`)
}

// choose leaves out what is too much of one user, and of the labels that are more
// frequent than the rarest. What stays is decided by a hash.
func (j *job) choose(ctx context.Context) error {
	selection := j.plan.request.GetSelection()
	if most := selection.GetMaxPerUser(); most > 0 {
		err := j.leaveOut(ctx, flawPerUser, `
			SELECT row_id FROM
			(
				SELECT row_id, row_number() OVER (PARTITION BY row_user ORDER BY sipHash64(row_id), row_id) AS n
				FROM `+j.candidates()+` WHERE `+j.good()+`
			)
			WHERE n > {most:UInt32}`, clickhouse.Named("most", most))
		if err != nil {
			return err
		}
	}
	if !selection.GetBalanceLabels() {
		return nil
	}
	label := "row_label"
	if j.plan.format.balance != "" {
		label = j.plan.format.balance
	}
	return j.leaveOut(ctx, flawBalance, `
		WITH least AS (SELECT min(n) FROM (SELECT count() AS n FROM `+j.candidates()+` WHERE `+j.good()+` GROUP BY `+label+`))
		SELECT row_id FROM
		(
			SELECT row_id, row_number() OVER (PARTITION BY `+label+` ORDER BY sipHash64(row_id), row_id) AS n
			FROM `+j.candidates()+` WHERE `+j.good()+`
		)
		WHERE n > (SELECT * FROM least)`)
}

// splitOf is the split of a row, as an expression with parameters: a hash of its unit
// decides.
const splitOf = `multiIf(
	sipHash64({salt:String}, '\0', row_unit) % 10000 < {test:UInt32}, 'test',
	sipHash64({salt:String}, '\0', row_unit) % 10000 < {test:UInt32} + {validation:UInt32}, 'validation',
	'train')`

// frozenEngine says how the table of the set's rows is stored.
const frozenEngine = "ENGINE = MergeTree PARTITION BY row_split ORDER BY (row_split, row_at, row_id)"

// frozen selects what is kept of rows.
func (j *job) frozen() string {
	f := j.plan.format
	sizes := []string{"0"}
	if f.shape == nil {
		for i, field := range f.kept {
			sizes = append(sizes, bytesOf(field, f.columns[i]))
		}
	}
	return "SELECT " + splitOf + " AS row_split, row_at, row_id, row_label, row_unit, toUInt32(" + strings.Join(sizes, " + ") + ") AS row_bytes, " + strings.Join(f.columns, ", ")
}

// straight reports whether nothing but the selection leaves rows out: the rows are then
// copied only once.
func (p *plan) straight() bool {
	selection := p.request.GetSelection()
	return len(p.format.texts) == 0 && selection.GetMaxPerUser() == 0 && !selection.GetBalanceLabels()
}

// freeze makes the table of the set's rows, and counts them.
func (j *job) freeze(ctx context.Context) error {
	if !j.plan.straight() {
		query := j.frozen() + " FROM " + j.candidates() + " WHERE " + j.good()
		if err := j.db.CreateAs(ctx, j.set.table, rowKey, frozenEngine, query, j.plan.arguments(0, 0)...); err != nil {
			return err
		}
		if err := j.db.Conn().Exec(ctx, "INSERT INTO "+j.set.table+" "+query, j.plan.arguments(0, 0)...); err != nil {
			return fmt.Errorf("copy rows: %w", err)
		}
	}
	counts, err := j.count(ctx)
	if err != nil {
		return err
	}
	leftOut, err := j.countLeftOut(ctx)
	if err != nil {
		return err
	}
	bytes, redacted, err := j.countBytes(ctx)
	if err != nil {
		return err
	}
	if redacted > 0 {
		leftOut["redacted"] = redacted
	}
	j.change(func(s *set) {
		s.counts, s.leftOut = counts, leftOut
		s.progress.Rows, s.progress.Bytes = s.rows(), bytes
		s.progress.ExpectedRows = s.progress.Rows
	})
	return nil
}

// count counts the rows by split and label.
func (j *job) count(ctx context.Context) (counts []count, err error) {
	rows, err := j.db.Conn().Query(ctx, "SELECT row_split, row_label, count() FROM "+j.set.table+" GROUP BY row_split, row_label ORDER BY row_split, row_label")
	if err != nil {
		return nil, fmt.Errorf("count rows: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c count
		if err := rows.Scan(&c.split, &c.label, &c.rows); err != nil {
			return nil, fmt.Errorf("count rows: %w", err)
		}
		counts = append(counts, c)
	}
	return counts, rows.Err()
}

// countLeftOut counts the rows that were left out, by reason.
func (j *job) countLeftOut(ctx context.Context) (leftOut map[string]uint64, err error) {
	if j.plan.straight() {
		return map[string]uint64{}, nil
	}
	rows, err := j.db.Conn().Query(ctx, `
		SELECT flaw, count() FROM (SELECT toString(flaw) AS flaw FROM `+j.flaws()+` UNION ALL SELECT row_flaw FROM `+j.candidates()+` WHERE row_flaw != '')
		GROUP BY flaw`)
	if err != nil {
		return nil, fmt.Errorf("count what is left out: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	leftOut = map[string]uint64{}
	for rows.Next() {
		var flaw string
		var n uint64
		if err := rows.Scan(&flaw, &n); err != nil {
			return nil, fmt.Errorf("count what is left out: %w", err)
		}
		leftOut[flaw] = n
	}
	return leftOut, rows.Err()
}

// countBytes returns the bytes of text, or of a format without text all bytes, and how many rows have a secret redacted, as the
// client marked it.
func (j *job) countBytes(ctx context.Context) (bytes, redacted uint64, err error) {
	if len(j.plan.format.texts) == 0 {
		if err := j.db.Conn().QueryRow(ctx, "SELECT sum(row_bytes) FROM "+j.set.table).Scan(&bytes); err != nil {
			return 0, 0, fmt.Errorf("count bytes: %w", err)
		}
		return bytes, 0, nil
	}
	all := "concat(" + strings.Join(j.plan.format.texts, ", ' ', ") + ", '')"
	err = j.db.Conn().QueryRow(ctx, "SELECT sum(length("+all+")), countIf(match("+all+", '(?i)[<«\\\\[]\\\\s*redacted')) FROM "+j.candidates()+" WHERE "+j.good()).Scan(&bytes, &redacted)
	if err != nil {
		return 0, 0, fmt.Errorf("count bytes: %w", err)
	}
	return bytes, redacted, nil
}
