package trainset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/aymanbagabas/go-udiff"
	"github.com/google/uuid"

	"github.com/yirifi/flywheel/trainset/sequence"
)

// The marks in the input of a next edit, as the models of Zed have them.
const (
	regionStart = "<|editable_region_start|>"
	regionEnd   = "<|editable_region_end|>"
	cursorMark  = "<|user_cursor_is_here|>"
)

const (
	// regionLines is how many lines before and after the cursor's may be edited,
	// contextLines how many more are shown on both sides.
	regionLines  = 10
	contextLines = 30
	// recentEdits and recentTime bound the edits that are shown, editWindow how long
	// after an interaction's end what the user wrote belongs to it.
	recentEdits = 50
	recentTime  = 5 * time.Minute
	editWindow  = 30 * time.Second
	// longestSession is until how long after its session's start an interaction's edits
	// are looked for.
	longestSession = 24 * time.Hour
	// editSessions is about how many interactions are held at once.
	editSessions = 10_000

	flawReserved = "reserved_text"
)

// picked is a chosen interaction.
type picked struct {
	composed
	surface, output string
	consents        uint8
}

// composeNextEdits makes rows of next_edit from the chosen interactions and the edits of
// their sessions.
func composeNextEdits(ctx context.Context, j *job) (err error) {
	table := j.set.table + "_picked"
	sql, err := j.plan.statement()
	if err != nil {
		return err
	}
	if err := j.copyRows(ctx, table, " ENGINE = MergeTree ORDER BY (session_started_at, session_id, interaction_id)", sql); err != nil {
		return err
	}
	texts := []string{"text_events", "text_input", "text_output", "text_rejected"}
	c, err := j.newComposer(ctx, texts, "text_input", "text_output")
	if err != nil {
		return err
	}
	chunks, err := j.hours(ctx, 0, math.MaxInt64, editSessions, "SELECT toStartOfHour(session_started_at) AS hour, count() FROM "+table+" GROUP BY hour ORDER BY hour")
	if err != nil {
		return fmt.Errorf("look where the sessions are: %w", err)
	}
	err = j.inChunks(chunks, func(span chunk) error {
		chosen, err := j.picked(ctx, table, span)
		if err != nil {
			return err
		}
		query := sequence.Query{
			Tenant: j.set.tenant, From: time.UnixMilli(span.from), To: time.UnixMilli(span.to), Longest: longestSession,
			Edits: recentEdits, Before: recentTime, After: editWindow,
		}
		for m, err := range sequence.Read(ctx, j.db, query) {
			if err != nil {
				return err
			}
			p := chosen[m.InteractionID]
			if p == nil {
				continue
			}
			delete(chosen, m.InteractionID)
			p.edit(j.plan, m)
			if err := c.add(ctx, &p.composed); err != nil {
				return err
			}
		}
		for _, id := range slices.SortedFunc(maps.Keys(chosen), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
			chosen[id].why = flawNoDocument
			if err := c.add(ctx, &chosen[id].composed); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.flush(ctx)
}

// picked reads the chosen interactions of the sessions that started in a time range.
func (j *job) picked(ctx context.Context, table string, span chunk) (chosen map[uuid.UUID]*picked, err error) {
	rows, err := j.db.Conn().Query(ctx, `
		SELECT row_id, row_at, row_label, row_unit, row_user, language, surface, output, consents FROM `+table+`
		WHERE session_started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND session_started_at < fromUnixTimestamp64Milli({to_ms:Int64})`,
		clickhouse.Named("from_ms", span.from), clickhouse.Named("to_ms", span.to))
	if err != nil {
		return nil, fmt.Errorf("read interactions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	chosen = map[uuid.UUID]*picked{}
	for rows.Next() {
		p := new(picked)
		if err := rows.Scan(&p.id, &p.at, &p.label, &p.unit, &p.user, &p.language, &p.surface, &p.output, &p.consents); err != nil {
			return nil, fmt.Errorf("read interactions: %w", err)
		}
		p.interaction = p.id.String()
		chosen[p.id] = p
	}
	return chosen, rows.Err()
}

// edit makes the row of the interaction at a moment.
func (p *picked) edit(plan *plan, m *sequence.Moment) {
	if !m.Known {
		p.why = flawNoDocument
		return
	}
	next, consents, found := p.follow(m)
	consents |= m.Consents | p.consents
	changes := m.Changes()
	for _, change := range changes {
		consents |= change.Consents
	}
	if !plan.WithoutConsent && consents != trainingOnly {
		p.why = flawNoConsent
		return
	}
	if !found {
		p.why = flawNoDocument
		return
	}
	old := string(m.Text)
	e := excerptAt(old, int(m.Cursor))
	output, near := e.replaced(old, next)
	switch {
	case !near:
		p.why = flawFarEdit
		return
	case e.reserved(old, output, p.output):
		p.why = flawReserved
		return
	}
	rejected := ""
	if p.label == "rejected" && p.surface == "inline_completion" && p.output != "" {
		rejected = marked(old[e.region:e.cursor] + p.output + old[e.cursor:e.regionEnd])
	}
	p.texts = []string{unified(changes), e.input(old), marked(output), rejected}
	if plan.tooLong(p.texts[0]+p.texts[1], p.texts[2]) {
		p.why = flawTooLong
	}
}

// follow gives the document as it became: after the edit that applied the output, or,
// where it was not taken as it was, after what the user wrote next.
func (p *picked) follow(m *sequence.Moment) (text string, consents uint8, found bool) {
	next := slices.Clone(m.Text)
	taken := p.label != "rejected"
	applied := false
	for _, e := range slices.Concat(m.During, m.After) {
		if e.Document != m.Document {
			continue
		}
		if e.InteractionID != uuid.Nil && e.InteractionID != p.id && (applied || !taken) {
			break // from here on it is another suggestion's doing
		}
		if e.Offset > uint64(len(next)) || e.RemovedLength > uint64(len(next))-e.Offset || uint64(len(e.Text)) != e.InsertedLength {
			return "", 0, false
		}
		next = slices.Replace(next, int(e.Offset), int(e.Offset+e.RemovedLength), []byte(e.Text)...)
		if e.Text != "" {
			consents |= 1 << e.Consent
		}
		if e.InteractionID == p.id {
			applied = true
			if p.label != "accepted_modified" {
				break
			}
		}
	}
	return string(next), consents, applied || !taken
}

// excerpt is a part of a document, by offsets of lines.
type excerpt struct {
	start, region, cursor, regionEnd, end int
}

// excerptAt is the excerpt around a cursor.
func excerptAt(text string, cursor int) excerpt {
	region, regionEnd := linesBack(text, cursor, regionLines), linesOn(text, cursor, regionLines)
	return excerpt{
		start: linesBack(text, region, contextLines), region: region, cursor: cursor,
		regionEnd: regionEnd, end: linesOn(text, regionEnd, contextLines-1),
	}
}

// linesBack is where the line begins that is so many lines before an offset's.
func linesBack(text string, at, lines int) int {
	for {
		at = strings.LastIndexByte(text[:at], '\n')
		if at < 0 {
			return 0
		}
		if lines--; lines < 0 {
			return at + 1
		}
	}
}

// linesOn is where the line ends, with its line feed, that is so many lines after an
// offset's.
func linesOn(text string, at, lines int) int {
	for ; lines >= 0; lines-- {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text)
		}
		at += i + 1
	}
	return at
}

// replaced is the region in the next text, if nothing outside of it has changed.
func (e excerpt) replaced(old, next string) (string, bool) {
	rest := old[e.regionEnd:]
	if len(next) < e.region+len(rest) || next[:e.region] != old[:e.region] || !strings.HasSuffix(next, rest) {
		return "", false
	}
	return next[e.region : len(next)-len(rest)], true
}

// input is the excerpt with its marks.
func (e excerpt) input(text string) string {
	return text[e.start:e.region] + regionStart + "\n" + text[e.region:e.cursor] + cursorMark + text[e.cursor:e.regionEnd] + lineEnd(text[:e.regionEnd]) + regionEnd + "\n" + text[e.regionEnd:e.end]
}

// reserved reports whether the texts hold marks themselves.
func (e excerpt) reserved(old string, others ...string) bool {
	return slices.ContainsFunc(append(others, old[e.start:e.end]), func(text string) bool {
		return strings.Contains(text, regionStart) || strings.Contains(text, regionEnd) || strings.Contains(text, cursorMark)
	})
}

// marked is a region between its marks.
func marked(region string) string {
	return regionStart + "\n" + region + lineEnd(region) + regionEnd + "\n"
}

// lineEnd ends a text's last line if it has no end.
func lineEnd(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return ""
	}
	return "\n"
}

// unified are changes as unified diffs.
func unified(changes []sequence.Change) string {
	var all strings.Builder
	for _, c := range changes {
		all.WriteString(udiff.Unified("a/"+c.Document, "b/"+c.Document, c.Before, c.After))
	}
	return all.String()
}
