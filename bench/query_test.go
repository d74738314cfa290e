package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestLatencies(t *testing.T) {
	t.Parallel()
	var hundred latencies
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*time.Millisecond)
	}
	for _, test := range []struct {
		name  string
		of    latencies
		share float64
		want  float64
	}{
		{"median", hundred, 0.5, 51},
		{"99 of a hundred", hundred, 0.99, 100},
		{"all", hundred, 1, 100},
		{"of one", hundred[:1], 0.99, 1},
	} {
		if got := test.of.at(test.share); got != test.want {
			t.Errorf("%s: %v ms, want %v", test.name, got, test.want)
		}
	}
}

func TestMetric(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# HELP go_objects objects\ngo_objects_total 7\ngo_objects 1.25e+06\n"))
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	if got, err := metric(t.Context(), address, "go_objects"); err != nil || got != 1.25e6 {
		t.Errorf("%v, %v; want 1.25e6", got, err)
	}
	if got, err := metric(t.Context(), address, "missing"); err == nil {
		t.Errorf("%v for a metric that is not there, want an error", got)
	}
}

// TestSessionBegan: a session begins when its id says, to the millisecond.
func TestSessionBegan(t *testing.T) {
	t.Parallel()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	if since := time.Since(began(id)); since < 0 || since > time.Minute {
		t.Errorf("an id of now began %s ago", since)
	}
	if got := began(uuid.MustParse("019a1b2c-3d4e-7f50-8a6b-7c8d9e0f1a2b")).UnixMilli(); got != 0x019a1b2c3d4e {
		t.Errorf("began at %d ms, want %d", got, 0x019a1b2c3d4e)
	}
}

// TestReference: the fixed piece of work is some CPU time, whose unit the guard's figures
// have.
func TestReference(t *testing.T) {
	t.Parallel()
	if seconds, err := referenceCPU(); err != nil || seconds <= 0 {
		t.Errorf("%v s, %v; want some time", seconds, err)
	}
}
