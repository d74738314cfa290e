package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// The layouts in which the OpenTelemetry Collector stores the events, with its queue in
// memory, or synced to disk before it acknowledges.
const (
	peerName     = "otelcol"
	diskPeerName = "otelcol-disk"
)

// otelDatabase is where the collector's configuration has its table.
const otelDatabase = "otel"

// startPeer starts the OpenTelemetry Collector with the engine behind it.
func (s *system) startPeer(ctx context.Context, layout string, o options, dir string) error {
	ports, err := freeAddresses(ctx, 1)
	if err != nil {
		return err
	}
	s.protocol, s.collector = otlp, ports[0]
	config := "memory.yaml"
	if layout == diskPeerName {
		config = "disk.yaml"
	}
	cmd := exec.CommandContext(ctx, o.peer, "--config="+filepath.Join(o.peerConfigs, config))
	cmd.Env = append(os.Environ(), "BENCH_LISTEN="+s.collector, "BENCH_CLICKHOUSE="+s.engine.DSN(otelDatabase), "BENCH_DIR="+filepath.Join(dir, "queue"))
	return errors.Join(s.startCommand(cmd, "OpenTelemetry Collector"), waitFor(ctx, s.collector))
}

// waitRecords waits until so many log records can be read besides those of probes.
func (s *system) waitRecords(ctx context.Context, events int) (seen, error) {
	return s.ask(ctx, `SELECT count() FROM otel.otel_logs WHERE ServiceName = 'bench'`, uint64(events))
}

// recordWay is the way of log records through the OpenTelemetry Collector.
type recordWay struct {
	system *system
	conn   *grpc.ClientConn
}

func (w recordWay) send(ctx context.Context, id uuid.UUID) error {
	f := otlpFormatOf(watchName)
	record, mark, err := f.event(nil, &flywheelv1.Event{
		Content: &flywheelv1.Content{Text: id.String()},
		Payload: &flywheelv1.Event_Shown{Shown: &flywheelv1.Shown{}},
	}, true)
	if err != nil {
		return err
	}
	f.putTime(record[mark.time:], time.Now())
	return export(ctx, w.conn, append(f.begin(nil, id, len(record)), record...))
}

func (w recordWay) seen(ctx context.Context, since time.Time) ([]string, error) {
	return w.system.texts(ctx, `SELECT Body FROM otel.otel_logs WHERE ServiceName = $1 AND Timestamp >= fromUnixTimestamp64Micro($2)`,
		watchName, since.UnixMicro())
}
