package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// letterDesk is a running "up" with access to its log and ClickHouse.
type letterDesk struct {
	*up
	log *eventlog.Log
	db  *warehouse.DB
}

func newLetterDesk(t *testing.T) *letterDesk {
	t.Helper()
	d := &letterDesk{up: newUp(t)}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if d.log, err = (natsSettings{}).attach(t.Context(), d.dir, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.log.Close() })
	if d.db, err = warehouse.Open(t.Context(), readAddresses(d.dir).ClickHouseURL, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.db.Close() })
	return d
}

func (d *letterDesk) exec(t *testing.T, statement string) {
	t.Helper()
	if err := d.db.Conn().Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// letters runs a deadletter command that must succeed.
func (d *letterDesk) letters(t *testing.T, args ...string) string {
	t.Helper()
	return succeed(t, append([]string{"deadletter", args[0], "--data-dir", d.dir, "--log-level", "warn"}, args[1:]...)...)
}

// refused runs a deadletter command that must fail with an exit code.
func (d *letterDesk) refused(t *testing.T, code int, args ...string) string {
	t.Helper()
	out, err := start(t, append([]string{"deadletter", args[0], "--data-dir", d.dir}, args[1:]...)...).wait(t)
	if err == nil || !strings.HasSuffix(err.Error(), " "+strconv.Itoa(code)) {
		t.Errorf("deadletter %v: %v, want exit code %d\n%s", args, err, code, out)
	}
	return out
}

func (d *letterDesk) held(t *testing.T) uint64 {
	t.Helper()
	n, err := d.log.DeadLetterCount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually polls until something holds.
func (d *letterDesk) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(2 * patience); !holds(); {
		select {
		case <-deadline:
			t.Fatalf("still waiting: %s\n%s", what, d.out)
		case <-tick.C:
		}
	}
}

// drained waits until the processor has answered every record.
func (d *letterDesk) drained(t *testing.T) {
	t.Helper()
	for _, lane := range eventlog.Lanes() {
		d.eventually(t, lane.String()+" lane drained", func() bool {
			n, err := d.log.Pending(t.Context(), lane)
			return err == nil && n == 0
		})
	}
}

// sameRates waits until two tenants have the same rates and the same merged rows.
func (d *letterDesk) sameRates(t *testing.T, a, b string) {
	t.Helper()
	of := func(tenant string) string {
		var out strings.Builder
		out.WriteString(succeed(t, "rates", "--feedback", d.feedback, "--tenant", tenant, "--format", "json", "--group-by", "model,surface,trigger,source"))
		for _, table := range []string{"interactions", "opportunities", "content", "edits", "steps"} {
			var rows, hash uint64
			query := "SELECT count(), sum(cityHash64(toString(tuple(* EXCEPT tenant)))) FROM " + table + " FINAL WHERE tenant = ?"
			if err := d.db.Conn().QueryRow(t.Context(), query, tenant).Scan(&rows, &hash); err != nil {
				t.Fatal(err)
			}
			out.WriteString(table + " " + strconv.FormatUint(rows, 10) + " " + strconv.FormatUint(hash, 10) + "\n")
		}
		return out.String()
	}
	want := of(a)
	if !strings.Contains(want, "group") {
		t.Fatalf("no rates: %s", want)
	}
	d.eventually(t, "the rates of "+b+" are those of "+a, func() bool { return of(b) == want })
}

// record wraps a letter's batch as a collector does.
func record(t *testing.T, letter eventlog.DeadLetter) []byte {
	t.Helper()
	var batch flywheelv1.LogBatch
	if err := batch.UnmarshalVT(letter.Batch); err != nil {
		t.Fatal(err)
	}
	data, err := (&flywheelv1.LogRecord{Batches: []*flywheelv1.LogBatch{&batch}}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDeadLetterCommands lets ClickHouse refuse a part of a tenant's events, mends the
// cause and replays them: the rates and rows are then those of a tenant that had no
// fault, also when the replay is killed, and when letters are replayed twice.
func TestDeadLetterCommands(t *testing.T) {
	t.Parallel()
	d := newLetterDesk(t)
	base := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Hour).Format(time.RFC3339)
	succeed(t, d.replayArgs("clean", "--base-time", base)...)
	d.exec(t, "ALTER TABLE interactions ADD CONSTRAINT no_tenths CHECK tenant != 'faulty' OR cityHash64(interaction_id) % 10 != 0")
	d.exec(t, "ALTER TABLE steps ADD CONSTRAINT no_thirds CHECK tenant != 'faulty' OR cityHash64(event_id) % 3 != 0")
	succeed(t, "replay", "--collector", d.collector, "--tenant", "faulty", "--interactions", "1200", "--base-time", base,
		"--tally", filepath.Join(d.dir, "faulty.json"), "--log-level", "warn")
	d.drained(t)
	letters := d.checkReading(t)

	if out := d.letters(t, "replay", strconv.FormatUint(letters[0].Number, 10)); !strings.HasPrefix(out, "Replayed 1 dead letter.") {
		t.Errorf("replay of one: %s", out)
	}
	d.eventually(t, "it is refused again", func() bool { return d.held(t) == uint64(len(letters)) })

	d.exec(t, "ALTER TABLE interactions DROP CONSTRAINT no_tenths")
	d.exec(t, "ALTER TABLE steps DROP CONSTRAINT no_thirds")
	if out := d.letters(t, "replay", "--all", "--dry-run"); !strings.HasPrefix(out, "Would replay "+strconv.Itoa(len(letters))+" dead letters") {
		t.Errorf("dry run: %s", out)
	}
	// What a replay that was killed between the two steps leaves: record and letter.
	if err := d.log.Publish(t.Context(), letters[1].Lane, record(t, letters[1])); err != nil {
		t.Fatal(err)
	}
	killed := start(t, "deadletter", "replay", "--all", "--data-dir", d.dir)
	d.eventually(t, "some letters are replayed", func() bool { return d.held(t) < uint64(len(letters)) })
	_ = killed.cmd.Process.Kill()
	<-killed.done
	t.Logf("killed with %d of %d letters left", d.held(t), len(letters))
	d.letters(t, "replay", "--tenant", "faulty")
	if n := d.held(t); n != 0 {
		t.Errorf("%d letters are left", n)
	}
	d.drained(t)
	d.sameRates(t, "clean", "faulty")
	for _, letter := range letters {
		if err := d.log.Publish(t.Context(), letter.Lane, record(t, letter)); err != nil {
			t.Fatal(err)
		}
	}
	d.drained(t)
	d.sameRates(t, "clean", "faulty")
	if out := succeed(t, "verify", "--data-dir", d.dir, "--log-level", "warn"); !strings.Contains(out, "Everything is equal") {
		t.Errorf("verify: %s", out)
	}
	d.stop(t)
}

// checkReading lists and shows the letters, and returns them.
func (d *letterDesk) checkReading(t *testing.T) (letters []eventlog.DeadLetter) {
	t.Helper()
	steps := 0
	for letter, err := range d.log.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, letter)
		if letter.Table == "steps" {
			steps++
		}
	}
	if len(letters) < 50 {
		t.Fatalf("only %d letters", len(letters))
	}
	list := d.letters(t, "list", "--limit", "3")
	if lines := strings.Split(list, "\n"); len(lines) != 6 || !strings.HasPrefix(lines[0], "NUMBER") || !strings.Contains(lines[1], "no_t") {
		t.Errorf("list: %s", list)
	}
	decoder := json.NewDecoder(strings.NewReader(d.letters(t, "list", "--reason", "NO_THIRDS", "--limit", "0", "--output", "json")))
	for n := range steps {
		var row letterRow
		if err := decoder.Decode(&row); err != nil || row.Table != "steps" || row.Tenant != "faulty" || row.Events != 1 {
			t.Fatalf("row %d: %+v, %v", n, row, err)
		}
	}
	if decoder.More() {
		t.Error("list shows more letters than have that reason")
	}
	if grouped := d.letters(t, "list", "--by", "reason"); strings.Count(grouped, "\n") != 3 || strings.Contains(grouped, "Column values") {
		t.Errorf("by reason: %s", grouped)
	}
	for _, none := range [][]string{{"--tenant", "clean"}, {"--to", "1h"}, {"--reason", "nonsense"}} {
		if out := d.letters(t, append([]string{"list"}, none...)...); out != "No dead letters.\n" {
			t.Errorf("list %v: %s", none, out)
		}
	}
	first := letters[0]
	file := filepath.Join(t.TempDir(), "letter")
	shown := d.letters(t, "show", strconv.FormatUint(first.Number, 10), "--raw", file)
	for _, want := range []string{"faulty", "this processor can make rows of it", `"event_id":`, "no_t", "table      " + first.Table} {
		if !strings.Contains(shown, want) {
			t.Errorf("show: %q is not in\n%s", want, shown)
		}
	}
	if data, err := os.ReadFile(file); err != nil || !bytes.Equal(data, first.Batch) {
		t.Errorf("--raw wrote %d bytes, want %d: %v", len(data), len(first.Batch), err)
	}
	return letters
}

// TestUndecodableLetters groups, shows, and purges letters that nothing can be done
// about, and refuses what it should not do.
func TestUndecodableLetters(t *testing.T) {
	t.Parallel()
	d := newLetterDesk(t)
	const n = 5
	for range n {
		for _, garbage := range []string{"\x0a\x05\x12\x03\xff\xff\xff", "\xff"} {
			if err := d.log.Publish(t.Context(), eventlog.Trace, []byte(garbage)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.eventually(t, "letters", func() bool { return d.held(t) == 2*n })
	grouped := d.letters(t, "list", "--by", "reason", "--lane", "trace")
	if lines := strings.Split(strings.TrimSpace(grouped), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "5 ") || !strings.HasSuffix(lines[1], "is no LogRecord") && !strings.HasSuffix(lines[2], "is no LogRecord") {
		t.Errorf("by reason: %s", grouped)
	}
	if out := d.letters(t, "show", "1"); !strings.Contains(out, "at byte 0") || !strings.Contains(out, "ff") {
		t.Errorf("show: %s", out)
	}
	for want, args := range map[string][]string{
		"give numbers, a filter":     {"replay"},
		"give one of them":           {"replay", "1", "--all"},
		"give a filter":              {"purge", "--yes"},
		"no terminal to ask on":      {"purge", "--all"},
		"or how long ago":            {"list", "--from", "yesterday"},
		"must be one of \"outcome\"": {"list", "--lane", "both?"},
	} {
		if out := d.refused(t, 2, args...); !strings.Contains(out, want) {
			t.Errorf("deadletter %v: %s", args, out)
		}
	}
	if out := d.refused(t, 1, "show", "999"); !strings.Contains(out, "dead letter 999: the log holds no such dead letter") {
		t.Errorf("show 999: %s", out)
	}
	for answer, want := range map[string]bool{"y\n": true, "Y": true, "n\n": false, "\n": false, "": false} {
		var asked bytes.Buffer
		purge := deadLetterPurgeCmd{deadLetterFilter: deadLetterFilter{Lane: bothLanes}, All: true}
		agreed, err := purge.ask(t.Context(), environment{stdout: &asked}, d.log, strings.NewReader(answer))
		if err != nil || agreed != want || asked.String() != "Delete 10 dead letters for good? [y/N] " {
			t.Errorf("answer %q: %v, %v after %q", answer, agreed, err, &asked)
		}
	}
	if out := d.letters(t, "purge", "--reason", "decoded", "--yes"); out != "Deleted 5 dead letters.\n" || d.held(t) != n {
		t.Errorf("purge: %s, %d left", out, d.held(t))
	}
	if out := d.letters(t, "purge", "--all", "--yes"); out != "Deleted 5 dead letters.\n" || d.held(t) != 0 {
		t.Errorf("purge: %s, %d left", out, d.held(t))
	}
	d.stop(t)
}
