package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yirifi/flywheel/internal/warehouse"
)

// parseError parses args and returns the text of the error, or "".
func parseError(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	app, err := parse(args, &out, &errs)
	if err == nil && app != nil {
		return ""
	}
	if err == nil {
		return "help: " + out.String()
	}
	if code := exitCode(err); code != 2 {
		t.Errorf("exit code %d, want 2 for a wrong setting", code)
	}
	return err.Error()
}

func TestWrongSettingsAreErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown command", []string{"upp"}, "unexpected argument upp"},
		{"unknown flag", []string{"up", "--liste=x"}, "unknown flag --liste"},
		{"bad size", []string{"up", "--log-max-trace=lots"}, "for example 512KiB"},
		{"bad duration", []string{"up", "--settle-interval=soon"}, "settle-interval"},
		{"bad age", []string{"processor", "--keep-edits=90m"}, "for example 400d"},
		{"bad level", []string{"--log-level=loud", "up"}, "log-level"},
		{"missing file", []string{"--config=/does/not/exist.yaml", "up"}, "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := parseError(t, test.args...); !strings.Contains(got, test.want) {
				t.Errorf("error %q, want %q in it", got, test.want)
			}
		})
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	app, err := parse([]string{"up", "--keep-interactions=400d", "--keep-content=720h", "--keep-steps=0"}, &out, &out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := app.command.(*upCmd).ages(), (warehouse.Ages{Interactions: 400, Content: 30}); got != want {
		t.Errorf("ages %+v, want %+v", got, want)
	}
}

func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}, {"up", "--help"}, {"rates", "--help"}} {
		got := parseError(t, args...)
		if !strings.HasPrefix(got, "help: ") || !strings.Contains(got, "flywheel") {
			t.Errorf("flywheel %v: %q", args, got)
		}
	}
}

func TestConfigFile(t *testing.T) {
	t.Parallel()
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "flywheel.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("values", func(t *testing.T) {
		t.Parallel()
		path := write("listen: 127.0.0.1:1\nsettle-interval: 3s\nlog-max-trace: 1GiB\ngroup-by: [model, language]\n")
		var out bytes.Buffer
		app, err := parse([]string{"--config", path, "up", "--listen=127.0.0.1:2"}, &out, &out)
		if err != nil {
			t.Fatal(err)
		}
		up := app.command.(*upCmd)
		if up.Listen != "127.0.0.1:2" || up.SettleInterval.Seconds() != 3 || up.LogMaxTrace != 1<<30 {
			t.Errorf("settings %+v", up)
		}
		app, err = parse([]string{"--config=" + path, "rates"}, &out, &out)
		if err != nil {
			t.Fatal(err)
		}
		if got := app.command.(*ratesCmd).GroupBy; strings.Join(got, " ") != "model language" {
			t.Errorf("group by %q", got)
		}
	})
	t.Run("unknown key", func(t *testing.T) {
		t.Parallel()
		if got := parseError(t, "--config="+write("lissten: x\n"), "up"); !strings.Contains(got, `unknown setting "lissten"`) {
			t.Errorf("error %q", got)
		}
	})
	t.Run("not yaml", func(t *testing.T) {
		t.Parallel()
		if got := parseError(t, "--config="+write("{"), "up"); !strings.Contains(got, "read settings of") {
			t.Errorf("error %q", got)
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Setenv("FLYWHEEL_SETTLE_INTERVAL", "7s")
	var out bytes.Buffer
	app, err := parse([]string{"up"}, &out, &out)
	if err != nil {
		t.Fatal(err)
	}
	if got := app.command.(*upCmd).SettleInterval.Seconds(); got != 7 {
		t.Errorf("settle interval %v s, want 7", got)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "FLYWHEEL_OTLP_ENDPOINT"} {
		t.Setenv(name, "http://"+strings.ToLower(name)+":4317")
		if app, err = parse([]string{"collector"}, &out, &out); err != nil {
			t.Fatal(err)
		}
		if got := app.command.(*collectorCmd).OTLPEndpoint; got != os.Getenv(name) {
			t.Errorf("%s: OTLP endpoint %q", name, got)
		}
	}
	t.Setenv("FLYWHEEL_SETLE_INTERVAL", "7s")
	if got := parseError(t, "up"); !strings.Contains(got, "unknown setting FLYWHEEL_SETLE_INTERVAL") {
		t.Errorf("error %q", got)
	}
}

func TestClusterNeedsAServer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	app, err := parse([]string{"up", "--data-dir", t.TempDir(), "--clickhouse-cluster=events"}, &out, &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.run(t.Context()); err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), "needs --clickhouse-url") {
		t.Errorf("error %v, want that --clickhouse-url is needed", err)
	}
}
