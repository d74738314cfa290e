package trainset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	flawNoText       = "no_text"
	flawNoConsent    = "no_consent"
	flawUnsuccessful = "unsuccessful"
	flawNoDocument   = "no_document"
	flawFarEdit      = "far_edit"

	// trainingOnly is the consents of text that may be used for training.
	trainingOnly = 4
	// composeBatch is how many composed rows are stored at once, composeBytes of about
	// how much text at most.
	composeBatch = 10_000
	composeBytes = 32 << 20
)

// composed is a row that is made here and not by a statement.
type composed struct {
	texts                  []string // in the order of the format's text columns
	interaction, language  string
	id                     uuid.UUID
	at                     time.Time
	label, unit, user, why string // why it is left out; its texts are not kept then
}

// composer stores composed rows. What is computed from their texts, ClickHouse computes.
type composer struct {
	job   *job
	texts []string
	rows  []*composed
	bytes int
}

// newComposer makes the table of candidates. judged are the columns of text that
// duplicates are told by.
func (j *job) newComposer(ctx context.Context, texts []string, judged ...string) (*composer, error) {
	var columns strings.Builder
	for _, name := range texts {
		columns.WriteString(name + " String, ")
	}
	create := "CREATE TABLE " + j.candidates() + " (" + columns.String() + `
			interaction String, language String, outcome String,
			row_id UUID, row_at DateTime64(3, 'UTC'), row_label String, row_unit String, row_user String, row_flaw String,
			row_text FixedString(16) DEFAULT sipHash128(` + strings.Join(judged, `, '\0', `) + `),
			row_comparable Bool DEFAULT length(` + strings.Join(judged, ") + length(") + `) >= 64,
			row_simhash UInt64 DEFAULT ngramSimHash(concat(` + strings.Join(judged, `, '\n', `) + `), 5)
		) ENGINE = MergeTree ORDER BY (row_at, row_id)`
	if err := j.db.Create(ctx, j.candidates(), rowKey, create); err != nil {
		return nil, err
	}
	return &composer{job: j, texts: texts}, nil
}

// add stores a row, which it keeps until then. The texts of one that is left out are not
// stored.
func (c *composer) add(ctx context.Context, row *composed) error {
	if row.texts == nil || row.why != "" && row.why != flawTooLong {
		row.texts = make([]string, len(c.texts))
	}
	for _, text := range row.texts {
		c.bytes += len(text)
	}
	if c.rows = append(c.rows, row); len(c.rows) < composeBatch && c.bytes < composeBytes {
		return nil
	}
	return c.flush(ctx)
}

// flush stores the rows in hand.
func (c *composer) flush(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store rows: %w", err)
		}
	}()
	batch, err := c.job.db.Conn().PrepareBatch(ctx, "INSERT INTO "+c.job.candidates()+" ("+strings.Join(c.texts, ", ")+
		", interaction, language, outcome, row_id, row_at, row_label, row_unit, row_user, row_flaw)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	for _, row := range c.rows {
		values := make([]any, 0, len(c.texts)+9)
		for _, text := range row.texts {
			values = append(values, text)
		}
		values = append(values, row.interaction, row.language, row.label, row.id, row.at, row.label, row.unit, row.user, row.why)
		if err := batch.Append(values...); err != nil {
			return err
		}
	}
	c.rows, c.bytes = nil, 0
	return batch.Send()
}

// tooLong reports whether texts are longer than the request takes.
func (p *plan) tooLong(prompt, completion string) bool {
	q := p.request.GetQuality()
	over := func(text string, most uint32) bool {
		return most > 0 && len(text) > int(most) && utf8.RuneCountInString(text) > int(most)
	}
	return over(prompt, q.GetMaxPromptChars()) || over(completion, q.GetMaxCompletionChars())
}

// unitOf is what is never divided between splits.
func (p *plan) unitOf(user, repository string, session uuid.UUID) string {
	var unit string
	switch p.Unit {
	case "user":
		unit = user
	case "repository":
		unit = repository
	}
	if unit == "" {
		return session.String()
	}
	return unit
}

// hours are chunks of whole hours with something in them, by a query that gives hours and
// counts; each has about most rows, and no more than a day.
func (j *job) hours(ctx context.Context, from, to int64, most uint64, query string, args ...any) (all []chunk, err error) {
	rows, err := j.db.Conn().Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var hour time.Time
		var n uint64
		if err := rows.Scan(&hour, &n); err != nil {
			return nil, err
		}
		next := chunk{max(hour.UnixMilli(), from), min(hour.Add(time.Hour).UnixMilli(), to), n}
		if last := len(all) - 1; last >= 0 && all[last].rows+n <= most && next.to-all[last].from <= (24*time.Hour).Milliseconds() {
			all[last].to, all[last].rows = next.to, all[last].rows+n
			continue
		}
		all = append(all, next)
	}
	return all, rows.Err()
}

// inChunks does the work of chunk after chunk and notes how much is done.
func (j *job) inChunks(chunks []chunk, work func(chunk) error) error {
	var all, done uint64
	for _, c := range chunks {
		all += c.rows
	}
	began := time.Now()
	for _, c := range chunks {
		if err := work(c); err != nil {
			return fmt.Errorf("from %s on: %w", time.UnixMilli(c.from).UTC().Format(time.RFC3339), err)
		}
		done += c.rows
		j.progress(began, done, all)
	}
	return nil
}
