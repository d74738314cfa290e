package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/yirifi/flywheel/internal/eventlog"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// askTimeout is how long a part may take to answer.
const askTimeout = 8 * time.Second

// maxPage bounds what is read of an HTTP page.
const maxPage = 1 << 20

// Config says what to look at. Parts whose address is empty are left out.
type Config struct {
	// Collector and Feedback are gRPC addresses; TLS is used for both.
	Collector, Feedback string
	TLS                 bool
	// Debug is the address of /readyz (HTTP).
	Debug string
	// Log says how to reach the event log. Its URL empty: it is left out.
	Log eventlog.Config
	// Monitor is the URL of the NATS server's monitoring port.
	Monitor string
	// ClickHouseURL is the DSN of ClickHouse.
	ClickHouseURL string
	// Dir is the data folder of an "up" on this machine, and PID its process, 0 when none
	// runs. Empty: the machine is left out.
	Dir string
	PID int
	// Sample is the time between the two looks that rates are made of.
	Sample time.Duration
}

// DefaultConfig leaves the addresses to be set.
func DefaultConfig() Config { return Config{Sample: 3 * time.Second, Log: eventlog.DefaultConfig()} }

// Validate returns what is wrong with the configuration, or nil.
func (c Config) Validate() error {
	if c.Sample < 100*time.Millisecond || c.Sample > time.Hour {
		return fmt.Errorf("sample is %v: 100ms to 1h are possible", c.Sample)
	}
	return nil
}

// Gather asks every part and returns what it learned, after about [Config.Sample]. What
// does not answer is a fact too; an error is one of cfg, or that ctx has ended.
func Gather(ctx context.Context, cfg Config, log *slog.Logger) (Facts, error) {
	if err := cfg.Validate(); err != nil {
		return Facts{}, err
	}
	var facts Facts
	for _, s := range []Service{{Name: "collector", Address: cfg.Collector}, {Name: "feedback", Address: cfg.Feedback}} {
		if s.Address != "" {
			facts.Services = append(facts.Services, s)
		}
	}
	var asking sync.WaitGroup
	for i := range facts.Services {
		asking.Go(func() { facts.Services[i].Err = text(askHealth(ctx, facts.Services[i].Address, cfg.TLS)) })
	}
	if cfg.Debug != "" {
		facts.Ready = &Service{Name: "flywheel", Address: cfg.Debug}
		asking.Go(func() { facts.Ready.Err = text(askReady(ctx, cfg.Debug)) })
	}
	if cfg.Log.URL != "" {
		facts.Log = &Log{}
		asking.Go(func() { facts.Log.Err = text(facts.Log.look(ctx, cfg, log)) })
	}
	if cfg.ClickHouseURL != "" {
		facts.Store = &Store{}
		asking.Go(func() { facts.Store.Err = text(facts.Store.look(ctx, cfg, log)) })
	}
	if cfg.Dir != "" {
		facts.Machine = &Machine{Dir: cfg.Dir}
		asking.Go(func() { facts.Machine.look(ctx, cfg) })
	}
	asking.Wait()
	return facts, ctx.Err()
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// pause waits between the two looks.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// askHealth asks a service whether it serves.
func askHealth(ctx context.Context, address string, useTLS bool) (err error) {
	transport := insecure.NewCredentials()
	if useTLS {
		transport = credentials.NewTLS(nil)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("says that it is %s", strings.ToLower(answer.GetStatus().String()))
	}
	return nil
}

// askReady asks a process whether it reaches what it needs.
func askReady(ctx context.Context, address string) error {
	code, body, err := get(ctx, "http://"+address+"/readyz")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("says: %s", body)
	}
	return nil
}

// get reads an HTTP page, up to maxPage bytes of it.
func get(ctx context.Context, url string) (code int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

// look asks the log twice.
func (l *Log) look(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	opening, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	events, err := eventlog.Attach(opening, cfg.Log, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	if l.Before, err = events.Status(ctx); err != nil {
		return err
	}
	begin := time.Now()
	if err := pause(ctx, cfg.Sample); err != nil {
		return err
	}
	if l.After, err = events.Status(ctx); err != nil {
		return err
	}
	l.Interval = time.Since(begin)
	if cfg.Monitor != "" {
		l.Monitor = &Monitor{}
		l.Monitor.Err = text(l.Monitor.look(ctx, cfg.Monitor))
	}
	return nil
}

// look asks a NATS server for its variables.
func (m *Monitor) look(ctx context.Context, address string) error {
	code, body, err := get(ctx, strings.TrimSuffix(address, "/")+"/varz")
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("answers %d %s", code, http.StatusText(code))
	}
	var vars struct {
		SlowConsumers int64 `json:"slow_consumers"`
		JetStream     struct {
			Config struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	if err := json.Unmarshal(body, &vars); err != nil {
		return fmt.Errorf("read its variables: %w", err)
	}
	m.SyncAlways, m.SlowConsumers = vars.JetStream.Config.SyncAlways, vars.SlowConsumers
	return nil
}

// look asks ClickHouse; it counts what it does while the log is watched.
func (s *Store) look(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	opening, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	db, err := warehouse.Open(opening, cfg.ClickHouseURL, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return s.ask(ctx, db, cfg.Sample)
}
