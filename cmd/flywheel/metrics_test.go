package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// get reads a page of the debug address.
func (u *up) get(t *testing.T, path string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+readAddresses(u.dir).Debug+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("read %s: %v\n%s", path, err, u.out)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// scrape is what /metrics says, by name.
type scrape map[string]*dto.MetricFamily

func (u *up) scrape(t *testing.T) scrape {
	t.Helper()
	code, body := u.get(t, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil || code != http.StatusOK {
		t.Fatalf("scrape: %d, %v", code, err)
	}
	return families
}

// sum adds up a metric over its labels; of histograms, the counts.
func (s scrape) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	family := s[name]
	if family == nil {
		t.Fatalf("no metric %s", name)
	}
	for _, m := range family.GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

// drained waits until processors have acknowledged all that is in the log.
func (u *up) drained(t *testing.T) scrape {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := u.scrape(t)
		if got.sum(t, "flywheel_log_lag_records") == 0 {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log is never empty\n%s", u.out)
		}
	}
}

// TestMetricsEqualWhatWasSent compares the metrics of "up" with the tally of a replay,
// and checks that the names are as Prometheus wants them, that the documents describe
// them all, and that alerts use no others.
func TestMetricsEqualWhatWasSent(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	succeed(t, u.replayArgs("acme")...)
	data, err := os.ReadFile(filepath.Join(u.dir, "acme.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tally struct {
		EventsTotal float64 `json:"events_total"`
		Total       struct {
			Suggestions float64 `json:"suggestions"`
		} `json:"total"`
	}
	if err := json.Unmarshal(data, &tally); err != nil || tally.EventsTotal == 0 {
		t.Fatalf("tally: %v: %.200s", err, data)
	}
	got := u.drained(t)
	for name, want := range map[string]float64{
		"flywheel_collector_events_accepted_total":      tally.EventsTotal,
		"flywheel_collector_events_rejected_total":      0,
		"flywheel_collector_batches_refused_total":      0,
		"flywheel_collector_groups_failed_total":        0,
		"flywheel_collector_waiting_bytes":              0,
		"flywheel_collector_groups_published_total":     got.sum(t, "flywheel_log_stream_records"),
		"flywheel_collector_publish_duration_seconds":   got.sum(t, "flywheel_collector_groups_published_total"),
		"flywheel_processor_records_total":              got.sum(t, "flywheel_collector_groups_published_total"),
		"flywheel_processor_events_total":               tally.EventsTotal,
		"flywheel_processor_events_dead_lettered_total": 0,
		"flywheel_processor_retries_total":              0,
		"flywheel_processor_in_hand_records":            0,
		"flywheel_processor_in_hand_bytes":              0,
		"flywheel_log_lag_seconds":                      0,
		"flywheel_log_dead_letters":                     0,
		"flywheel_dependency_ready":                     2,
	} {
		if sum := got.sum(t, name); sum != want {
			t.Errorf("%s is %v, want %v", name, sum, want)
		}
	}
	if rows := got.sum(t, "flywheel_processor_rows_stored_total"); rows < tally.Total.Suggestions {
		t.Errorf("%v rows for %v suggestions", rows, tally.Total.Suggestions)
	}
	for _, name := range []string{"flywheel_settler_buckets_settled_total", "flywheel_rpc_handled_total", "flywheel_processor_insert_duration_seconds"} {
		if got.sum(t, name) == 0 {
			t.Errorf("%s is 0", name)
		}
	}
	checkNames(t, got)
	_, body := u.get(t, "/metrics")
	if problems, err := promlint.New(strings.NewReader(body)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	u.stop(t)
}

// checkNames compares the exported metrics with those of the alerts and of the table in
// docs/operations.md.
func checkNames(t *testing.T, exported scrape) {
	t.Helper()
	name := regexp.MustCompile(`\b(?:flywheel|process|go)_[a-z_]+`)
	for _, found := range name.FindAllString(read(t, filepath.Join(root, "deploy", "prometheus", "alerts.yml")), -1) {
		if exported[found] == nil {
			t.Errorf("the alerts use %s, which is not exported", found)
		}
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(flywheel_[a-z_]+)`").FindAllStringSubmatch(read(t, filepath.Join(root, "docs", "operations.md")), -1) {
		documented[row[1]] = true
		if exported[row[1]] == nil {
			t.Errorf("docs/operations.md describes %s, which is not exported", row[1])
		}
	}
	for exported := range maps.Keys(exported) {
		if strings.HasPrefix(exported, "flywheel_") && !documented[exported] {
			t.Errorf("docs/operations.md does not describe %s", exported)
		}
	}
}

// TestReadyFollowsClickHouse stops the engine's process and lets it go on.
func TestReadyFollowsClickHouse(t *testing.T) {
	t.Parallel()
	u := newUp(t)
	becomes := func(want int, text string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; {
			code, body := u.get(t, "/readyz")
			if code == want && strings.Contains(body, text) && strings.Contains(body, "log: ready\n") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("/readyz: %d, want %d with %q:\n%s", code, want, text, body)
			}
		}
	}
	becomes(http.StatusOK, "clickhouse: ready\n")
	signal := func(s syscall.Signal) {
		t.Helper()
		for _, pid := range u.children(t) {
			if err := syscall.Kill(pid, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	becomes(http.StatusServiceUnavailable, "clickhouse: not ready: ")
	if code, _ := u.get(t, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz without ClickHouse: %d", code)
	}
	signal(syscall.SIGCONT)
	becomes(http.StatusOK, "clickhouse: ready\n")
	if code, body := u.get(t, "/debug/pprof/goroutine?debug=1"); code != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("profile: %d: %.100s", code, body)
	}
	out, err := start(t, "up", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--feedback-listen", "127.0.0.1:0",
		"--debug-listen", readAddresses(u.dir).Debug).wait(t)
	if err == nil || !strings.Contains(out, "listen for --debug-listen") {
		t.Errorf("second up on the same debug address: %v: %s", err, out)
	}
	u.stop(t)
}
