package flywheel

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]bool{
		"127.0.0.1:7410": true, "127.9.9.9:1": true, "[::1]:7410": true, "::1": true, "localhost:7410": true, "localhost": true,
		"unix:/run/flywheel.sock": true, "unix:///run/flywheel.sock": true, "unix-abstract:flywheel": true,
		"dns:///localhost:7410": true, "dns://8.8.8.8/localhost:7410": true, "passthrough:///127.0.0.1:7410": true,
		"collector.example.com:443": false, "10.0.0.1:7410": false, "localhost.example.com:443": false,
		"dns:///collector:7410": false, "dns://127.0.0.1/collector:7410": false, "": false, "::": false, "passthrough:///x": false,
	} {
		if got := local(target); got != want {
			t.Errorf("local(%q) = %v", target, got)
		}
	}
}

// quiet logs nothing.
func quiet() Option { return WithLogger(slog.New(slog.DiscardHandler)) }

// TestTLSUnlessLocal looks at the first bytes that a client sends.
func TestTLSUnlessLocal(t *testing.T) {
	t.Parallel()
	const handshake, preface = 0x16, 'P' // of TLS, and of HTTP/2 without it
	for name, test := range map[string]struct {
		target string
		opts   []Option
		want   byte
	}{
		"other machine":           {"dns:///collector.invalid:443", nil, handshake},
		"other machine, insecure": {"passthrough:///collector.invalid:443", []Option{WithInsecure()}, preface},
		"loopback":                {"passthrough:///127.0.0.1:7410", nil, preface},
		"loopback, with TLS":      {"passthrough:///127.0.0.1:7410", []Option{WithTransportCredentials(credentials.NewTLS(nil))}, handshake},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := make(chan byte, 16)
			dialer := func(context.Context, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					defer func() { _ = there.Close() }()
					b := make([]byte, 1)
					if _, err := io.ReadFull(there, b); err == nil {
						first <- b[0]
					}
				}()
				return here, nil
			}
			target := strings.Replace(test.target, "dns:", "passthrough:", 1)
			client, err := Dial(target, append(test.opts, WithDialOptions(grpc.WithContextDialer(dialer)), quiet())...)
			if err != nil {
				t.Fatalf("Dial: %v", err)
			}
			client.Session(SessionInfo{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			flushed := make(chan error, 1)
			go func() { flushed <- client.Flush(ctx) }()
			if got := <-first; got != test.want {
				t.Errorf("the first byte is %#x, want %#x", got, test.want)
			}
			cancel()
			if err := client.Close(ctx); err == nil {
				t.Error("Close: nothing can have been delivered")
			}
			if err := <-flushed; err == nil {
				t.Error("Flush: nothing can have been delivered")
			}
		})
	}
}

func TestDialRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opt  Option
		want string
	}{
		"tenant":          {WithTenant("Acme Corp"), "tenant"},
		"long tenant":     {WithTenant(strings.Repeat("a", 65)), "tenant"},
		"batch of none":   {WithBatch(0, 1<<20, time.Second), "events per batch"},
		"batch too large": {WithBatch(1, 5<<20, time.Second), "bytes per batch"},
		"no delay":        {WithBatch(1, 1<<20, 0), "delay"},
		"no queue":        {WithQueue(0, 1<<20), "events in the queue"},
		"small queue":     {WithQueue(1, 10), "bytes in the queue"},
		"content":         {WithMaxContent(2 << 20), "content"},
		"no logger":       {WithLogger(nil), "logger"},
		"no clock":        {WithClock(nil), "clock"},
	} {
		if _, err := Dial("127.0.0.1:7410", test.opt); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Dial: %v", name, err)
		}
	}
	if _, err := Dial("127.0.0.1:7410", WithQueue(0, 0), WithTenant("?")); strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Dial: %v, want all three things that are wrong", err)
	}
	if _, err := Dial("unix://host/\x00"); err == nil {
		t.Error("Dial: no error for a target that is none")
	}
}
