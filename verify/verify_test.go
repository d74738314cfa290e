package verify_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/yirifi/flywheel/verify"
)

// TestEqual: what a settler wrote equals the recount, over hours and days, in however
// small parts, with rows of one key spread over several inserts.
func TestEqual(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.define()
	s.requireEqual()
	s.fill(300, 4)
	s.fill(300, 4)
	s.settle()
	report := s.requireEqual()
	if report.Interactions != 600 || report.Opportunities != 600 || report.Signals != 1200 || report.Minutes < 300 || report.Expired != 0 {
		t.Errorf("report %+v", report)
	}
	for _, rows := range []uint64{1, 1e6} {
		s.requireEqual(func(cfg *verify.Config) { cfg.ChunkRows = rows })
	}
	part := s.requireEqual(func(cfg *verify.Config) { cfg.Tenant = "it's\tmine\\" })
	hour := s.requireEqual(func(cfg *verify.Config) { cfg.From, cfg.To = base.Add(time.Hour), base.Add(90*time.Minute) })
	for name, r := range map[string]*verify.Report{"tenant": part, "hour": hour} {
		if r.Interactions < 100 || r.Interactions > 300 {
			t.Errorf("%s: report %+v", name, r)
		}
	}
}

// TestPlantedDifferences: each kind of wrong row is found and named.
func TestPlantedDifferences(t *testing.T) {
	t.Parallel()
	some := " FROM %s FINAL WHERE shown > 0 ORDER BY tenant, bucket LIMIT 1"
	for name, c := range map[string]struct {
		plant []string
		want  []string
	}{
		"a wrong count of a higher version": {
			[]string{"INSERT INTO rates SELECT * REPLACE (shown + 1 AS shown, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "rates")},
			[]string{"rates", "shown"},
		},
		"a wrong element of an array": {
			[]string{"INSERT INTO rates SELECT * REPLACE ([0, 0, 0, 77777] AS retained_chars, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "rates")},
			[]string{"rates", "retained_chars[4]", "77777"},
		},
		"a wrong latency": {
			[]string{"INSERT INTO rates SELECT * REPLACE (map(toUInt16(3), toUInt64(9)) AS latency, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "rates")},
			[]string{"rates", "latency[3]", "9/0"},
		},
		"a combination that nobody sent": {
			[]string{"INSERT INTO rates SELECT * REPLACE ('nobody' AS model)" + strings.ReplaceAll(some, "%s", "rates")},
			[]string{"rates", "model=nobody", "row", "/none"},
		},
		"missing combinations": {
			[]string{"ALTER TABLE rates DELETE WHERE model = 'm1' SETTINGS mutations_sync = 1"},
			[]string{"rates", "model=m1", "row none/("},
		},
		"a wrong sum of an hour": {
			[]string{"INSERT INTO rate_hours SELECT * REPLACE (opportunities + 5 AS opportunities, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "rate_hours")},
			[]string{"rate_hours", "opportunities"},
		},
		"a wrong sum of a day": {
			[]string{"INSERT INTO rate_days SELECT * REPLACE (accepted + 5 AS accepted, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "rate_days")},
			[]string{"rate_days", "accepted"},
		},
		"a wrong hour of a user": {
			[]string{"INSERT INTO user_rate_hours SELECT * REPLACE (rejected + 5 AS rejected, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "user_rate_hours")},
			[]string{"user_rate_hours", "user=u", "rejected"},
		},
		"and so a wrong day": {
			[]string{"INSERT INTO user_rate_hours SELECT * REPLACE (rejected + 5 AS rejected, version + 1 AS version)" + strings.ReplaceAll(some, "%s", "user_rate_hours")},
			[]string{"user_rates", "day=2026-11-", "user=u", "rejected"},
		},
		"a row that was not settled": {
			[]string{"INSERT INTO interactions (tenant, started_at, interaction_id, shown_at) SELECT tenant, started_at, generateUUIDv7(), started_at FROM interactions LIMIT 1"},
			[]string{"rates", "undecided"},
		},
		"a touch that was not settled": {
			[]string{"INSERT INTO bucket_touches SELECT tenant, bucket, 1, now64(3) FROM bucket_touches LIMIT 1"},
			[]string{"rates", "version"},
		},
		"another view":             {[]string{"<tamper>"}, []string{"training_signals", "definition=2", "task_part"}},
		"a view with missing rows": {[]string{"<hide>"}, []string{"training_signals", "row", "none/one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			s.define()
			s.fill(60, 3)
			s.settle()
			s.requireEqual()
			for _, statement := range c.plant {
				switch statement {
				case "<tamper>":
					s.changeView("range(1, 10)) AS task_part", "range(1, 10)) + if(d.definition = 2, 1, 0) AS task_part")
				case "<hide>":
					s.changeView("AS d FINAL", "AS d FINAL WHERE i.user != 'u1'")
				default:
					s.exec(statement)
				}
			}
			s.requireDifference(c.want...)
		})
	}
}

// changeView makes training_signals anew with another text.
func (s *store) changeView(old, text string) {
	s.tb.Helper()
	var statement string
	if err := s.db.Conn().QueryRow(s.tb.Context(), "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'training_signals'").Scan(&statement); err != nil {
		s.tb.Fatal(err)
	}
	changed := strings.Replace(statement, old, text, 1)
	if changed == statement {
		s.tb.Fatalf("no %q in %s", old, statement)
	}
	s.exec("DROP VIEW training_signals SYNC")
	s.exec(changed)
}

// TestManyDifferences: the search ends with the first ones.
func TestManyDifferences(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(200, 1)
	s.settle()
	report := s.verify(func(cfg *verify.Config) { cfg.MinRead, cfg.MaxDifferences = 0, 3 })
	if len(report.Differences) != 3 || !report.Partial || report.Differences[0].Column != "read" {
		t.Errorf("report %s", text(report))
	}
	if out := text(report); !strings.Contains(out, "3 differences, and maybe more") || !strings.Contains(out, "with the same --min-read") {
		t.Errorf("report %s", out)
	}
}

// TestExpired: counts whose rows have expired are no difference.
func TestExpired(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(100, 4)
	s.settle()
	s.exec("ALTER TABLE interactions DROP PARTITION '2026-11-18'")
	s.exec("ALTER TABLE opportunities DROP PARTITION '2026-11-18'")
	report := s.requireEqual()
	if report.Expired < 30 || report.Interactions < 20 || report.Interactions > 80 {
		t.Errorf("report %+v", report)
	}
}

// TestLiveTraffic: rows that come in and are settled meanwhile are no difference.
func TestLiveTraffic(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(300, 3)
	s.settle()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	made := make([]rows, 200)
	for i := range made {
		made[i] = s.make(3, 3)
	}
	go func() {
		var err error
		for i := 0; i < len(made) && err == nil && ctx.Err() == nil; i++ {
			err = s.insert(t.Context(), made[i], true)
		}
		done <- err
	}()
	go func() {
		for ctx.Err() == nil {
			if _, err := s.settler.SettleOnce(ctx); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 3 {
		report := s.verify(func(cfg *verify.Config) { cfg.Wait = 5 * time.Minute })
		if len(report.Differences) > 0 {
			t.Errorf("false alarm: %.3000s", text(report))
		}
	}
	stop()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	s.settle()
	s.requireEqual()
}

// TestInterrupted ends with the context.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.fill(100, 1)
	v, err := verify.New(verify.DefaultConfig(), s.db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := v.Run(ctx, func(int, int) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	wrong := verify.Config{From: base, To: base, MinRead: -1, Wait: -1}
	_, err := verify.New(wrong, nil, nil)
	for _, want := range []string{"no time between", "minimum visible", "differences", "wait", "chunks"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
