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

	"github.com/dustin/go-humanize"
	"github.com/google/uuid"

	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/trainset/sequence"
)

const (
	// sessionInteractions is how many interactions a day has, and as many sessions at most.
	sessionInteractions = 1_000_000
	// sessionSteps is how many messages and tool calls each session has besides.
	sessionSteps = 4
	// sessionReads and sessionTime bound how many sessions are read in each way.
	sessionReads = 100
	sessionTime  = 5 * time.Second
)

const (
	generateSteps = `INSERT INTO steps (tenant, session_started_at, session_id, sequence, event_id, time, kind, role, model, call_id, tool, arguments, text)
	SELECT 'default', session_started_at, session_id, 1000000 + n, generateUUIDv4(), now64(6), ['message', 'tool_call'][1 + n % 2], 'assistant', 'bench-7b@1',
		toString(n), 'edit_file', '["main.go"]', 'a message of about a hundred characters, as an agent writes it before it calls one of the tools'
	FROM (SELECT DISTINCT session_started_at, session_id FROM edits WHERE tenant = 'default') ARRAY JOIN range($1) AS n`
	someSessions = `SELECT session_id FROM edits WHERE tenant = 'default' GROUP BY session_id ORDER BY cityHash64(session_id) LIMIT $1`
	sessionEdits = `SELECT count(), sum(length(text)) FROM (SELECT sequence, time, document, version, offset, removed_length, text FROM edits FINAL
	WHERE tenant = 'default' AND session_started_at = fromUnixTimestamp64Milli($1) AND session_id = $2 ORDER BY sequence, time, event_id)`
	sessionTrajectory = `SELECT count(), sum(length(steps)) FROM trajectories(tenant = 'default', from_ms = $1, to_ms = $1 + 1) WHERE session_id = $2`
)

// sessionsRow is what a day costs that has sessions of some length.
type sessionsRow struct {
	perSession int
	stored     report
	disk       uint64
	rates      latencies
	// edits, trajectories and moments are reads of one session each: its edits in order,
	// its messages and tool calls, and its documents rebuilt at each interaction.
	edits, trajectories, moments latencies
}

// measureSessions stores a day with as many sessions as interactions, and one with the
// standard mix's long sessions, and reads rates and single sessions there.
func measureSessions(ctx context.Context, o options) error {
	var rows []sessionsRow
	for _, perSession := range []int{1, interactionsPerSession} {
		row := sessionsRow{perSession: perSession}
		if err := withSystem(ctx, splitName, o, func(s *system) error { return row.measure(ctx, s) }); err != nil {
			return err
		}
		rows = append(rows, row)
		fmt.Fprintf(os.Stderr, "sessions: %d interactions a session: %s events/s\n", perSession, whole(row.stored.rate()))
	}
	printSessions(os.Stdout, rows)
	return nil
}

func (r *sessionsRow) measure(ctx context.Context, s *system) (err error) {
	today := time.Now().UTC().Truncate(day)
	load := fullLoad(rpc.DefaultTenant)
	load.perSession, load.interactions = r.perSession, sessionInteractions
	if r.stored, err = s.measureEvents(ctx, load); err != nil {
		return err
	}
	if err := s.db.Conn().Exec(ctx, generateSteps, sessionSteps); err != nil {
		return fmt.Errorf("generate steps: %w", err)
	}
	if err := s.waitCount(ctx, "SELECT count() FROM system.merges", 0); err != nil {
		return err
	}
	if err := s.db.Conn().QueryRow(ctx, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()").Scan(&r.disk); err != nil {
		return fmt.Errorf("read size on disk: %w", err)
	}
	askers, closing, err := newAskers(s.feedback, 1, true, today)
	if err != nil {
		return err
	}
	r.rates, err = askAll(ctx, askers, func(answers int) bool { return answers < historyQueries })
	if err := errors.Join(err, closing()); err != nil {
		return err
	}
	return r.read(ctx, s)
}

// read reads some sessions in each way.
func (r *sessionsRow) read(ctx context.Context, s *system) error {
	var ids []uuid.UUID
	if err := s.db.Conn().QueryRow(ctx, "SELECT groupArray(session_id) FROM ("+someSessions+")", sessionReads).Scan(&ids); err != nil {
		return fmt.Errorf("choose sessions: %w", err)
	}
	counted := func(query string, want int) func(uuid.UUID) error {
		return func(id uuid.UUID) error {
			var rows, size uint64
			if err := s.db.Conn().QueryRow(ctx, query, began(id).UnixMilli(), id).Scan(&rows, &size); err != nil {
				return fmt.Errorf("read session: %w", err)
			}
			if rows != uint64(want) {
				return fmt.Errorf("session %s has %d rows, want %d: %s", id, rows, want, query)
			}
			return nil
		}
	}
	moments := func(id uuid.UUID) error {
		found := 0
		q := sequence.Query{Tenant: rpc.DefaultTenant, From: began(id), To: began(id).Add(time.Millisecond), Longest: time.Hour, After: time.Minute}
		for m, err := range sequence.Read(ctx, s.db, q) {
			if err != nil {
				return err
			}
			if m.SessionID == id {
				found++
			}
		}
		if found != r.perSession {
			return fmt.Errorf("session %s has %d interactions, want %d", id, found, r.perSession)
		}
		return nil
	}
	for _, way := range []struct {
		into *latencies
		read func(uuid.UUID) error
	}{
		{&r.edits, counted(sessionEdits, r.perSession*editsPer)},
		{&r.trajectories, counted(sessionTrajectory, 1)},
		{&r.moments, moments},
	} {
		end := time.Now().Add(sessionTime)
		for _, id := range ids {
			start := time.Now()
			if start.After(end) {
				break
			}
			if err := way.read(id); err != nil {
				return err
			}
			*way.into = append(*way.into, time.Since(start))
		}
		slices.Sort(*way.into)
	}
	return nil
}

// began is when a session began, as its id has it.
func began(session uuid.UUID) time.Time {
	sec, nsec := session.Time().UnixTime()
	return time.Unix(sec, nsec).UTC()
}

func printSessions(w io.Writer, rows []sessionsRow) {
	fmt.Fprintf(w, "\na day of %s interactions, %d events each, and %d messages and tool calls a session, one process per role, %d cores, %s\n",
		humanize.Comma(sessionInteractions), eventsPer, sessionSteps, runtime.NumCPU(), runtime.Version())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "  sessions\tend to end/s\tCPU s / million: all\tof it ClickHouse\tsettled after the last is stored\ton disk\tGetRates p50 ms\tp99 ms\tedits p50 ms\tp99 ms\ttrajectory p50 ms\tp99 ms\tmoments p50 ms\tp99 ms\t")
	for _, r := range rows {
		var all float64
		for _, u := range r.stored.usage {
			all += u.cpu
		}
		millions := float64(r.stored.load.Events) / 1e6
		fmt.Fprintf(out, "  %s\t%s\t%.2f\t%.2f\t%.1f s\t%s\t", humanize.Comma(int64(sessionInteractions/r.perSession)), whole(r.stored.rate()),
			all/millions, r.stored.usage[0].cpu/millions, (r.stored.settled - r.stored.visible).Seconds(), humanize.IBytes(r.disk))
		for _, l := range []latencies{r.rates, r.edits, r.trajectories, r.moments} {
			fmt.Fprintf(out, "%.1f\t%.1f\t", l.at(0.5), l.at(0.99))
		}
		fmt.Fprintln(out)
	}
	_ = out.Flush()
}
