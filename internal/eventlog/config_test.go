package eventlog

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConfigValidate names everything that is wrong, at once.
func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := config("x").Validate(); err != nil {
		t.Errorf("default configuration: %v", err)
	}
	external := config("")
	external.URL = "nats://a:4222, tls://b"
	external.Replicas = 3
	if err := external.Validate(); err != nil {
		t.Errorf("external configuration: %v", err)
	}
	for name, test := range map[string]struct {
		base   Config
		change func(*Config)
		want   []string
	}{
		"nowhere": {Config{}, func(*Config) {}, []string{
			"a folder is needed", "replicas are 0", "outcome stream is 0 bytes", "trace stream is 0 bytes",
			"dead letter stream is 0 bytes", "keeps records for 0s", "keep processed", "acknowledgement wait", "publish timeout", "in-flight", "prefetch",
		}},
		"embedded with what is for external": {config("x"), func(c *Config) { c.Credentials, c.Replicas = "y", 3 }, []string{
			"credentials are for an external log", "exactly 1",
		}},
		"bad addresses": {config("x"), func(c *Config) { c.Listen = "7422" }, []string{"parse listen address"}},
		"bad port":      {config("x"), func(c *Config) { c.Listen = "localhost:70000" }, []string{"70000"}},
		"external with what is for embedded": {external, func(c *Config) { c.Dir, c.Listen = "x", ":1" }, []string{
			"a folder is for the embedded log", "a listen address is for the embedded log",
		}},
		"token without address": {config("x"), func(c *Config) { c.Token = "y" }, []string{"a token is for a listen address"}},
		"token of an external":  {external, func(c *Config) { c.Token = "y" }, []string{"part of its URL"}},
		"replicas":              {external, func(c *Config) { c.Replicas = 2 }, []string{"1, 3 or 5"}},
		"bad URL":               {external, func(c *Config) { c.URL = "nats://a,http://b" }, []string{"not of the form"}},
		"credentials":           {external, func(c *Config) { c.Credentials = filepath.Join(t.TempDir(), "none") }, []string{"read credentials"}},
		"keep": {config("x"), func(c *Config) { c.Trace.MaxAge = time.Hour; c.KeepProcessed = time.Hour }, []string{
			"below the maximum age",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := test.base
			test.change(&cfg)
			err := cfg.Validate()
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
			}
		})
	}
}

func TestLaneNames(t *testing.T) {
	t.Parallel()
	for _, lane := range Lanes() {
		if got, err := parseLane(lane.String()); err != nil || got != lane {
			t.Errorf("%v is read as %v, %v", lane, got, err)
		}
	}
	if _, err := parseLane(Lane(9).String()); err == nil {
		t.Error("a lane that does not exist is read")
	}
}
