package sequence

import (
	"cmp"
	"context"
	_ "embed" // the statement
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/warehouse"
)

//go:embed timeline.sql
var timelineSQL string

// Query says which sessions to read, and how much around each interaction.
type Query struct {
	Tenant string
	// From and To bound, exclusively at the end, when the sessions started.
	From, To time.Time
	// Edits is how many edits before an interaction are given at most, Before how long
	// before it they may have been. 0: any number, any time in the session.
	Edits  int
	Before time.Duration
	// Longest is until how long after its session's start an interaction is found. 0: 30
	// days.
	Longest time.Duration
	// After is for how long after an interaction's end its later edits are given.
	After time.Duration
}

// Moment is the moment at which an agent was asked for what became an interaction. Its
// memory is the reader's: it is valid until the next one.
type Moment struct {
	InteractionID, OpportunityID, SessionID uuid.UUID
	// At is the client's time of the request.
	At time.Time
	// Document is the one in which the user was: that of the last edit, selection or
	// opening. Empty: none.
	Document string
	// Text is the document as it was. Known is false where it cannot be told: its text was
	// not shared, or events of it are missing.
	Text  []byte
	Known bool
	// Cursor is where in Text the user was, in bytes: the end of the last edit or
	// selection.
	Cursor uint64
	// Consents has bit i set where some of Text came with Consent i.
	Consents uint8
	// Before are the last edits before the moment, in all documents of the session, the
	// oldest first. During are those from then to the interaction's end, After those that
	// followed it.
	Before, During, After []Edit

	documents map[string]*document
}

// Edit is one change of one document: RemovedLength bytes at Offset gave way to Text.
type Edit struct {
	At       time.Time
	Document string
	Version  uint64
	Offset   uint64
	// RemovedLength and InsertedLength are in bytes of UTF-8; Text is empty where it is
	// not shared.
	RemovedLength, InsertedLength uint64
	Text                          string
	// Removed is the text that gave way, of edits before the moment and where it is known.
	Removed string
	// Source is who made it, as in the table edits: "user", "interaction" and so on.
	Source string
	// Consent is the Consent that the text came with, 0 without text.
	Consent uint8
	// InteractionID is the interaction whose output it applied.
	InteractionID uuid.UUID
}

// Read gives the moments of all interactions of the sessions, session by session, each in
// its true order: by Event.sequence, and by time where the client does not count. It
// holds one session at a time. After an error there is nothing more.
func Read(ctx context.Context, db *warehouse.DB, q Query) iter.Seq2[*Moment, error] {
	return func(yield func(*Moment, error) bool) {
		if err := q.read(ctx, db, func(m *Moment) bool { return yield(m, nil) }); err != nil {
			yield(nil, fmt.Errorf("read sequences: %w", err))
		}
	}
}

// read calls yield until it returns false.
func (q Query) read(ctx context.Context, db *warehouse.DB, yield func(*Moment) bool) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := db.Conn().Query(ctx, timelineSQL,
		clickhouse.Named("tenant", q.Tenant),
		clickhouse.Named("from_ms", q.From.UnixMilli()),
		clickhouse.Named("to_ms", q.To.UnixMilli()),
		clickhouse.Named("longest_ms", cmp.Or(q.Longest, 30*24*time.Hour).Milliseconds()))
	if err != nil {
		return err
	}
	defer func() {
		cancel()
		if closing := rows.Close(); err == nil && closing != nil && !errors.Is(closing, context.Canceled) {
			err = closing
		}
	}()
	session := session{query: q}
	for rows.Next() {
		var e event
		if err := e.scan(rows); err != nil {
			return err
		}
		if len(session.events) > 0 && session.events[0].session != e.session {
			if !session.moments(yield) {
				return nil
			}
			session.events = session.events[:0]
		}
		session.events = append(session.events, e)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	session.moments(yield)
	return nil
}

// event is a row of the statement: an edit, another step of the session, or the moment of
// an interaction.
type event struct {
	kind                 string
	session, opportunity uuid.UUID
	// position is the length of a document that was opened, in bytes.
	position uint64
	// sequence is the event's place in the session; endedSequence and endedAt are the place
	// and the time of an interaction's end.
	sequence, endedSequence uint64
	endedAt                 time.Time
	edit                    Edit
}

func (e *event) scan(rows driver.Rows) error {
	d := &e.edit
	return rows.Scan(&e.session, &e.kind, &d.At, &d.InteractionID, &e.opportunity, &d.Document, &d.Version, &e.position,
		&d.Offset, &d.RemovedLength, &d.InsertedLength, &d.Source, &d.Text, &d.Consent,
		&e.sequence, &e.endedSequence, &e.endedAt)
}
