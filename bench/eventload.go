package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/yirifi/flywheel/internal/rpc"
)

// eventLoad is a load of the standard mix in batches of any number of events. It ends
// after so many interactions, or with those that are under way after some time; zero
// does not bound it.
type eventLoad struct {
	tenant  string
	clients int
	// batch is events per batch, window how many batches of a client may wait for
	// their acknowledgement.
	batch, window int
	// perSession is how many interactions share a session.
	perSession   int
	interactions int
	time         time.Duration
}

// command is the load as a process of its own, which writes a loadResult to out.
func (l eventLoad) command(ctx context.Context, target string, out io.Writer) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "events", "--target="+target, "--tenant="+l.tenant, "--clients="+strconv.Itoa(l.clients),
		"--batch="+strconv.Itoa(l.batch), "--window="+strconv.Itoa(l.window), "--per-session="+strconv.Itoa(l.perSession),
		"--interactions="+strconv.Itoa(l.interactions), "--time="+l.time.String())
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd, nil
}

// eventsMain is the process of an eventLoad.
func eventsMain(ctx context.Context, args []string) error {
	var l eventLoad
	flags := flag.NewFlagSet("events", flag.ContinueOnError)
	target := flags.String("target", "", "address of the collector")
	flags.StringVar(&l.tenant, "tenant", "", "tenant of the events")
	flags.IntVar(&l.clients, "clients", 0, "concurrent clients")
	flags.IntVar(&l.batch, "batch", 0, "events per batch")
	flags.IntVar(&l.window, "window", 0, "batches of a client that may wait for their acknowledgement")
	flags.IntVar(&l.perSession, "per-session", 0, "interactions per session")
	flags.IntVar(&l.interactions, "interactions", 0, "interactions to send, 0 for any number")
	flags.DurationVar(&l.time, "time", 0, "how long to send, 0 for any time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	corpus, err := loadCorpus()
	if err != nil {
		return err
	}
	results := make([]clientResult, l.clients)
	start := time.Now()
	group, ctx := errgroup.WithContext(metadata.AppendToOutgoingContext(ctx, rpc.TenantKey, l.tenant))
	for i := range l.clients {
		c := &eventClient{eventLoad: l, mix: newMix(corpus, uint64(i)), start: start}
		c.mix.perSession = l.perSession
		c.interactions = l.interactions / l.clients
		if i < l.interactions%l.clients {
			c.interactions++
		}
		group.Go(func() (err error) {
			results[i], err = c.send(ctx, *target)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(total(results, time.Since(start)))
}

// eventClient is a client of an eventLoad; interactions are its share.
type eventClient struct {
	eventLoad

	mix   *mix
	start time.Time
	// made are the events of an interaction, of which those from rest on are not sent.
	made []byte
	rest int
	// begun is how many interactions were begun.
	begun int
}

// send sends everything over one stream and waits until each batch is acknowledged.
func (c *eventClient) send(ctx context.Context, target string) (result clientResult, err error) {
	conn, err := dialCollector(target)
	if err != nil {
		return clientResult{}, err
	}
	defer func() { _ = conn.Close() }()
	stream, err := openStream(ctx, conn)
	if err != nil {
		return clientResult{}, err
	}
	sent := make(chan sentBatch, c.window-1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for batch := range sent {
			if err := receiveAck(stream, batch, &result); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(sent)
		for {
			batch, events := c.next()
			if events == 0 {
				return stream.CloseSend()
			}
			select {
			case sent <- sentBatch{at: time.Now(), events: events, bytes: len(batch)}:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := stream.SendMsg(batch); err != nil {
				return fmt.Errorf("send batch: %w", err)
			}
		}
	})
	err = group.Wait()
	return result, err
}

// next makes a batch; it has no events when everything was sent.
func (c *eventClient) next() (batch []byte, events int) {
	id := c.mix.id(time.Now())
	batch = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), id[:])
	for events < c.batch {
		if c.rest == len(c.made) {
			if c.interactions > 0 && c.begun == c.interactions || c.time > 0 && time.Since(c.start) >= c.time {
				break
			}
			c.made, c.rest, c.begun = c.mix.interaction(c.made[:0]), 0, c.begun+1
		}
		_, _, size := protowire.ConsumeField(c.made[c.rest:])
		batch = append(batch, c.made[c.rest:c.rest+size]...)
		c.rest += size
		events++
	}
	return batch, events
}
