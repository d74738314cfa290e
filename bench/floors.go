package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/yirifi/flywheel/collector"
	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// A floor is one part of the way alone, with the whole machine to itself, given what it
// works on ready-made: no system that contains it can be faster on this machine. The part
// and what feeds it are processes of their own, as in the systems.

// runGRPC measures batches into a server that reads their bytes and counts the events, to
// say how many came. The load generator is that of the systems.
func runGRPC(ctx context.Context, o options) (r report, err error) {
	ports, err := freeAddresses(ctx, 1)
	if err != nil {
		return report{}, err
	}
	s := &system{collector: ports[0]}
	if err := s.startSelf(ctx, "gRPC server", "sink", "--listen="+s.collector); err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, s.stopProcesses()) }()
	if err := waitFor(ctx, s.collector); err != nil {
		return report{}, err
	}
	return s.measureFloor(func() (loadResult, usage, error) { return o.load().run(ctx, s.collector) })
}

// startSelf starts a process of this program that an interrupt ends.
func (s *system) startSelf(ctx context.Context, name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	return s.startCommand(exec.CommandContext(ctx, self, args...), name)
}

// measureFloor measures what the processes use while something feeds them.
func (s *system) measureFloor(feed func() (loadResult, usage, error)) (r report, err error) {
	before, err := s.usage()
	if err != nil {
		return report{}, err
	}
	var feeder usage
	if r.load, feeder, err = feed(); err != nil {
		return report{}, err
	}
	if r.usage, err = s.usage(); err != nil {
		return report{}, err
	}
	for i := range before {
		r.usage[i].cpu -= before[i].cpu
	}
	r.usage = append(r.usage, feeder)
	r.acknowledged = time.Duration(r.load.Seconds * float64(time.Second))
	r.visible = r.acknowledged
	return r, nil
}

// sinkMain is the server of [runGRPC].
func sinkMain(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sink", flag.ContinueOnError)
	listen := flags.String("listen", "", "address to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log := slog.New(slog.DiscardHandler)
	server := rpc.NewServer(log, grpc.ForceServerCodecV2(sinkCodec{encoding.GetCodecV2(proto.Name)}), grpc.MaxRecvMsgSize(2*collector.DefaultConfig().MaxBatchBytes))
	service := flywheelv1.CollectorService_ServiceDesc
	service.Methods, service.HandlerType = nil, nil
	service.Streams = []grpc.StreamDesc{{
		StreamName: service.Streams[0].StreamName, ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error { return sink(stream) },
	}}
	server.RegisterService(&service, nil)
	return rpc.Serve(ctx, server, lis, time.Second)
}

// sunk is how many events a batch had.
type sunk struct{ events int }

func sink(stream grpc.ServerStream) error {
	for {
		var batch sunk
		if err := stream.RecvMsg(&batch); err != nil {
			return nil //nolint:nilerr // the client is done, or gone
		}
		if err := stream.SendMsg(&flywheelv1.CollectStreamResponse{Accepted: uint32(batch.events)}); err != nil {
			return err
		}
	}
}

// sinkCodec reads batches and forgets them.
type sinkCodec struct{ encoding.CodecV2 }

// Unmarshal counts the events of a batch.
func (c sinkCodec) Unmarshal(data mem.BufferSlice, v any) error {
	batch, ok := v.(*sunk)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	batch.events = countEvents(buffer.ReadOnlyData())
	return nil
}

// countEvents is how many events a CollectStreamRequest has.
func countEvents(batch []byte) (events int) {
	for len(batch) > 0 {
		number, kind, n := protowire.ConsumeTag(batch)
		m := protowire.ConsumeFieldValue(number, kind, batch[n:])
		if n < 0 || m < 0 {
			return events
		}
		if number == 2 {
			events++
		}
		batch = batch[n+m:]
	}
	return events
}

// runSelf runs a process of this program that feeds a part, and writes what it measured.
func runSelf(ctx context.Context, name string, args ...string) (loadResult, usage, error) {
	self, err := os.Executable()
	if err != nil {
		return loadResult{}, usage{}, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	return runMeasured(cmd, name)
}

// timed does something with so many events, in steps that tell how long they took, and
// writes what it measured.
func timed(events int, do func(took func(time.Duration)) error) error {
	cpu, err := ownCPU()
	if err != nil {
		return err
	}
	times, collected := make(chan time.Duration, 1024), make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for took := range times {
			all = append(all, took)
		}
		collected <- all
	}()
	began := time.Now()
	err = do(func(took time.Duration) { times <- took })
	ended := time.Since(began)
	close(times)
	latencies := <-collected
	if err != nil {
		return err
	}
	result := total([]clientResult{{events: events, latencies: latencies}}, ended)
	after, err := ownCPU()
	if err != nil {
		return err
	}
	result.Began, result.CPU = began.UnixNano(), after-cpu
	return json.NewEncoder(os.Stdout).Encode(result)
}
