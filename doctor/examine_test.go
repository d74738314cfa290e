package doctor

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well are facts of a deployment in which every check is content.
func well() Facts {
	streams := func(last uint64) []eventlog.StreamStatus {
		lane := func(name string) eventlog.StreamStatus {
			return eventlog.StreamStatus{
				Name: name, Consumed: true, Replicas: 1, Limits: eventlog.StreamLimits{MaxBytes: 1 << 30, MaxAge: 72 * time.Hour},
				Records: 1000, Bytes: 100 << 20, Last: last, Unprocessed: 3, Oldest: noon.Add(-time.Second),
			}
		}
		dead := lane("FLYWHEEL_DEADLETTER")
		dead.Consumed, dead.Records, dead.Bytes, dead.Unprocessed, dead.Oldest = false, 0, 0, 0, time.Time{}
		return []eventlog.StreamStatus{lane("FLYWHEEL_OUTCOME"), lane("FLYWHEEL_TRACE"), dead}
	}
	status := func(last uint64) eventlog.Status {
		return eventlog.Status{ServerVersion: "2.15.2", SyncsAlways: true, Clock: noon, Asked: noon, Streams: streams(last)}
	}
	return Facts{
		Services: []Service{{Name: "collector", Address: "c:1"}, {Name: "feedback", Address: "f:1"}},
		Ready:    &Service{Name: "flywheel", Address: "d:1"},
		Log:      &Log{Before: status(1000), After: status(1100), Interval: time.Second},
		Store: &Store{
			Version: "26.7", Migrations: 28, Known: 28, Clock: noon, Asked: noon, Disk: "default", Free: 50 << 30, Total: 100 << 30,
			MostParts: 20, PartsDelay: 1000, PartsOf: "edits 202603", Unsettled: 2, OldestUnsettled: noon.Add(-time.Second),
			Rows: 5000, CPU: 0.5, Cores: 2,
		},
		Machine: &Machine{
			Dir: "/data", Free: 50 << 30, Total: 100 << 30, Sync4K: time.Millisecond, Sync256K: time.Millisecond,
			OpenFiles: 65536, Memory: 8 << 30, Available: 4 << 30, Cores: 2, UpCPU: 0.5, EngineCPU: 0.5,
		},
	}
}

func TestAllWell(t *testing.T) {
	t.Parallel()
	report := Examine(well())
	for _, f := range slices.Concat(report.Findings, report.Capacity) {
		if f.Level != OK || f.Do != "" || f.Says == "" || f.Where == "" {
			t.Errorf("finding %+v", f)
		}
	}
	var out bytes.Buffer
	if err := report.Write(&out); err != nil || !strings.Contains(out.String(), "All well.") {
		t.Errorf("report %v: %s", err, &out)
	}
}

// TestFindings changes one fact at a time. Exactly the named check may then say
// something else than that all is well, and it must say what to do.
func TestFindings(t *testing.T) {
	t.Parallel()
	outcome := func(f *Facts) *eventlog.StreamStatus { return &f.Log.After.Streams[0] }
	for _, test := range []struct {
		name   string
		change func(*Facts)
		check  string
		level  Level
		says   string
	}{
		{"collector away", func(f *Facts) { f.Services[0].Err = "refused" }, "reachable", Wrong, "does not serve at c:1"},
		{"feedback away", func(f *Facts) { f.Services[1].Err = "refused" }, "reachable", Wrong, "does not serve at f:1"},
		{"not ready", func(f *Facts) { f.Ready.Err = "says: log: not ready: gone" }, "ready", Wrong, "d:1: says: log: not ready: gone"},
		{"log away", func(f *Facts) { f.Log.Err = "no servers" }, "reachable", Wrong, "no servers"},
		{"ClickHouse away", func(f *Facts) { f.Store.Err = "no answer" }, "reachable", Wrong, "no answer"},
		{"one copy, sync unknown", func(f *Facts) { f.Log.After.SyncsAlways = false; f.Machine.Sync256K = 0 }, "durability", Warning, "not known"},
		{"one copy, no sync", func(f *Facts) { f.Log.After.SyncsAlways, f.Log.Monitor = false, &Monitor{} }, "durability", Wrong, "loses acknowledged"},
		{"monitor away", func(f *Facts) { f.Log.Monitor = &Monitor{Err: "refused"} }, "durability", Warning, "refused"},
		{"slow consumers", func(f *Facts) { f.Log.Monitor = &Monitor{SyncAlways: true, SlowConsumers: 2} }, "replicas", Warning, "2 connections"},
		{"copy missing", func(f *Facts) { outcome(f).Missing = []string{"n2"} }, "replicas", Wrong, "FLYWHEEL_OUTCOME on n2"},
		{"log clock", func(f *Facts) { f.Log.After.Asked = noon.Add(-3 * time.Second) }, "clock", Warning, "3s off"},
		{"ClickHouse clock", func(f *Facts) { f.Store.Asked = noon.Add(6 * time.Minute) }, "clock", Wrong, "-6m0s off"},
		{"lane filling", func(f *Facts) { outcome(f).Bytes = 750 << 20 }, "fill", Warning, "750 MiB of 1.0 GiB, 73 % full"},
		{"lane full", func(f *Facts) { outcome(f).Bytes = 1000 << 20 }, "fill", Wrong, "98 % full"},
		{"lane without limit", func(f *Facts) { outcome(f).Limits.MaxBytes = -1 }, "fill", Warning, "no size limit"},
		{"full in an hour", func(f *Facts) { outcome(f).Unprocessed, outcome(f).Oldest = 6, noon.Add(-8*time.Second) }, "backlog", Warning, "full in"},
		{"full in minutes", func(f *Facts) { outcome(f).Unprocessed, outcome(f).Oldest = 103, noon.Add(-8*time.Second) }, "backlog", Wrong, "grows by 10 MiB/s"},
		{"behind", func(f *Facts) { outcome(f).Oldest = noon.Add(-2 * time.Minute) }, "lag", Warning, "the oldest for 2m0s"},
		{"far behind", func(f *Facts) { outcome(f).Oldest = noon.Add(-time.Hour) }, "lag", Wrong, "1h0m0s"},
		{"about to expire", func(f *Facts) { outcome(f).Oldest = noon.Add(-60 * time.Hour) }, "expiry", Wrong, "is dropped at 72h0m0s"},
		{"a day old", func(f *Facts) { outcome(f).Oldest = noon.Add(-24 * time.Hour) }, "expiry", Warning, "24h0m0s old"},
		{"dead letters", func(f *Facts) { f.Log.After.Streams[2].Records = 7 }, "deadletter", Warning, "7 events"},
		{"dead letters full", func(f *Facts) { f.Log.After.Streams[2].Bytes = 1 << 30 }, "fill", Wrong, "100 %"},
		{"older tables", func(f *Facts) { f.Store.Migrations = 27 }, "schema", Wrong, "27 migrations, this flywheel knows 28"},
		{"newer tables", func(f *Facts) { f.Store.SchemaErr = "use a newer flywheel" }, "schema", Wrong, "newer"},
		{"ClickHouse disk", func(f *Facts) { f.Store.Free = 10 << 30 }, "disk", Warning, "10 GiB free"},
		{"data disk", func(f *Facts) { f.Machine.Free = 1 << 30 }, "disk", Wrong, "1.0 GiB free"},
		{"parts", func(f *Facts) { f.Store.MostParts = 600 }, "parts", Warning, "600 parts in edits 202603"},
		{"too many parts", func(f *Facts) { f.Store.MostParts = 1000 }, "parts", Wrong, "1000 parts"},
		{"async inserts", func(f *Facts) { f.Store.AsyncInsert = true }, "inserts", Wrong, "before their rows are stored"},
		{"async inserts that wait", func(f *Facts) { f.Store.AsyncInsert, f.Store.WaitForAsync = true, true }, "inserts", Warning, "wait"},
		{"mutation", func(f *Facts) { f.Store.StuckMutations = []string{"edits m1"} }, "mutations", Wrong, "edits m1"},
		{"merge", func(f *Facts) { f.Store.LongestMerge = 2 * time.Hour }, "merges", Warning, "2h0m0s"},
		{"age by hand", func(f *Facts) { f.Store.UnnotedAges = []string{"rates"} }, "ages", Wrong, "rates drop rows"},
		{"rates behind", func(f *Facts) { f.Store.OldestUnsettled = noon.Add(-5 * time.Minute) }, "rates", Warning, "the oldest for 5m0s"},
		{"rates stand", func(f *Facts) { f.Store.OldestUnsettled = noon.Add(-time.Hour) }, "rates", Wrong, "1h0m0s"},
		{"slow disk", func(f *Facts) {
			f.Machine.Sync256K = 25 * time.Millisecond
			f.Log.After.Streams[0].Last, f.Log.After.Streams[1].Last = 1010, 1010
		}, "sync", Warning, "at most 40 groups"},
		{"folder of another user", func(f *Facts) { f.Machine.SyncErr = "permission denied" }, "sync", Unknown, "permission denied"},
		{"few files", func(f *Facts) { f.Machine.OpenFiles = 2048 }, "files", Warning, "2048 files"},
		{"very few files", func(f *Facts) { f.Machine.OpenFiles = 256 }, "files", Wrong, "256 files"},
		{"small machine", func(f *Facts) { f.Machine.Memory, f.Machine.Available = 2<<30, 1<<30 }, "memory", Warning, "up to 3.0 GiB"},
		{"no memory", func(f *Facts) { f.Machine.Available = 100 << 20 }, "memory", Wrong, "100 MiB available"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			facts := well()
			test.change(&facts)
			found := false
			for _, f := range Examine(facts).Findings {
				if f.Level == OK {
					continue
				}
				if f.Check == test.check && f.Level == test.level && strings.Contains(f.Says, test.says) && f.Do != "" {
					found = true
				} else if f.Check != "lag" { // what is about to expire is late too
					t.Errorf("unexpected %+v", f)
				}
			}
			if !found {
				t.Errorf("no finding %s %s %q in %+v", test.level, test.check, test.says, Examine(facts).Findings)
			}
		})
	}
}

// TestContent are facts that look odd and are fine.
func TestContent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Facts){
		"three copies that sync later": func(f *Facts) {
			f.Log.After.SyncsAlways, f.Log.Monitor = false, &Monitor{}
			for i := range f.Log.After.Streams {
				f.Log.After.Streams[i].Replicas = 3
			}
		},
		"a monitor that says it syncs": func(f *Facts) { f.Log.After.SyncsAlways, f.Log.Monitor = false, &Monitor{SyncAlways: true} },
		"a slow answer":                func(f *Facts) { f.Log.After.Asked, f.Log.After.RoundTrip = noon.Add(-9*time.Second), 10*time.Second },
		"a big disk that is full":      func(f *Facts) { f.Store.Free, f.Store.Total = 200<<30, 100<<40 },
		"between two batches":          func(f *Facts) { f.Log.After.Streams[0].Unprocessed = 103 },
		"a backlog that shrinks":       func(f *Facts) { f.Log.Before.Streams[0].Unprocessed = 500 },
		"an empty log": func(f *Facts) {
			for i := range f.Log.After.Streams {
				s := &f.Log.After.Streams[i]
				s.Records, s.Bytes, s.Unprocessed, s.Oldest = 0, 0, 0, time.Time{}
			}
		},
		"nothing but ClickHouse": func(f *Facts) { f.Log, f.Machine, f.Services = nil, nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := well()
			change(&facts)
			if report := Examine(facts); report.Count(Warning)+report.Count(Wrong) > 0 {
				t.Errorf("report %+v", report)
			}
		})
	}
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	late := func(f *Facts) {
		f.Log.After.Streams[0].Unprocessed, f.Log.After.Streams[0].Oldest = 43, noon.Add(-8*time.Second)
	}
	for _, test := range []struct {
		name   string
		change func(*Facts)
		where  string
		level  Level
		says   string
		do     string
	}{
		{"far from the limit", func(*Facts) {}, "outcome lane", OK, "100 groups/s of 102 KiB arrive, its leader can sync 1000: no second shard needed", ""},
		{"leader at its limit", func(f *Facts) { f.Log.After.Streams[0].Last = 1800 }, "outcome lane", Warning, "80 % of it", "a second shard"},
		{"log elsewhere", func(f *Facts) { f.Machine = nil }, "trace lane", Unknown, "only where it is on this machine", ""},
		{"keeps up", func(*Facts) {}, "ClickHouse", OK, "stores 100 % of what arrives, 5000 rows/s, on 0.5 of 2 cores: no ClickHouse of its own", ""},
		{"idle", func(f *Facts) { f.Log.After.Streams = f.Log.Before.Streams }, "ClickHouse", OK, "next to nothing arrives", ""},
		{"shared cores at their limit", func(f *Facts) { late(f); f.Machine.UpCPU, f.Machine.EngineCPU = 1, 0.95 }, "ClickHouse", Warning, "stores 80 % of what arrives", "a ClickHouse server of its own is next"},
		{"own cores at their limit", func(f *Facts) { late(f); f.Machine, f.Store.CPU = nil, 1.9 }, "ClickHouse", Warning, "on 1.9 of 2 cores", "a second ClickHouse shard is next"},
		{"a batch under way", func(f *Facts) { f.Log.After.Streams[0].Unprocessed = 43 }, "ClickHouse", OK, "80 %", ""},
		{"behind, cores idle", late, "ClickHouse", Warning, "80 %", "look at its disk"},
		{"most of the machine", func(f *Facts) { f.Machine.EngineCPU = 1.5 }, "ClickHouse", OK, "takes most of this machine", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			facts := well()
			test.change(&facts)
			report := Examine(facts)
			i := slices.IndexFunc(report.Capacity, func(f Finding) bool { return f.Where == test.where })
			if i < 0 {
				t.Fatalf("nothing of %s in %+v", test.where, report.Capacity)
			}
			if f := report.Capacity[i]; f.Level != test.level || !strings.Contains(f.Says, test.says) || !strings.Contains(f.Do, test.do) || (f.Do == "") != (test.do == "") {
				t.Errorf("capacity %+v", f)
			}
		})
	}
}
