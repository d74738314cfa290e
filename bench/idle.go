package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

const (
	// idleStreams is how many streams are open and idle at once.
	idleStreams = 10_000
	// idleOpening is how many connections are opened at once.
	idleOpening = 32
	// idleFiles is how many files a process needs that has a connection per stream.
	idleFiles = idleStreams + 1000
	// idleTurns is how often the busy client is measured with the streams, and without.
	idleTurns = 2
	// idleBuffer is the read and write buffer of the streams' own side, in bytes.
	idleBuffer = 4 << 10
)

// idleRow is what idle streams cost.
type idleRow struct {
	// perConnection is how many streams share a connection.
	perConnection int
	// before and after are the resident set of the collector, in bytes.
	before, after int64
	opening       time.Duration
	// with and without are what a busy client had beside them and alone.
	with, without [idleTurns]report
}

// measureIdle opens streams that send one event each and then nothing, many over few
// connections and each over one of its own, and measures a busy client beside them.
func measureIdle(ctx context.Context, o options) error {
	if err := allowFiles(idleFiles); err != nil {
		return err
	}
	var rows []idleRow
	for _, perConnection := range []int{500, 1} {
		row := idleRow{perConnection: perConnection}
		err := withSystem(ctx, splitName, o, func(s *system) error {
			for turn := range idleTurns {
				if err := row.turn(ctx, s, turn); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	printIdle(os.Stdout, rows)
	return nil
}

// turn measures with idle streams, and then without. The memory is that of the first turn:
// what the process has had once, it may keep.
func (r *idleRow) turn(ctx context.Context, s *system, turn int) error {
	collector, err := s.process("collector")
	if err != nil {
		return err
	}
	before, err := residentMemory(collector)
	if err != nil {
		return err
	}
	began := time.Now()
	idle, err := openIdle(ctx, s.collector, r.perConnection)
	if err != nil {
		return err
	}
	opening := time.Since(began)
	after, err := residentMemory(collector)
	if err != nil {
		return errors.Join(err, idle.close())
	}
	if turn == 0 {
		r.before, r.after, r.opening = before, after, opening
	}
	busy := fullLoad(fmt.Sprint("with-", turn))
	busy.clients, busy.time = 1, growthTime
	r.with[turn], err = s.measureEvents(ctx, busy)
	if err := errors.Join(err, idle.close()); err != nil {
		return err
	}
	busy.tenant = fmt.Sprint("without-", turn)
	r.without[turn], err = s.measureEvents(ctx, busy)
	return err
}

// process is the id of a process by name.
func (s *system) process(name string) (pid int, err error) {
	for _, p := range s.processes {
		if p.name == name {
			return p.pid, nil
		}
	}
	return 0, fmt.Errorf("there is no process %s", name)
}

// idle are connections with streams on which nothing happens.
type idle []*grpc.ClientConn

// openIdle opens the streams; each sends one event and waits for its acknowledgement.
func openIdle(ctx context.Context, target string, perConnection int) (conns idle, err error) {
	t, err := newTape(flywheelFormat(), interactionsPerSession)
	if err != nil {
		return nil, err
	}
	conns = make(idle, idleStreams/perConnection)
	for i := range conns {
		conns[i], err = dialCollector(target, grpc.WithReadBufferSize(idleBuffer), grpc.WithWriteBufferSize(idleBuffer))
		if err != nil {
			return nil, errors.Join(err, conns[:i].close())
		}
	}
	group := new(errgroup.Group)
	group.SetLimit(idleOpening)
	for i, conn := range conns {
		group.Go(func() error {
			c := newClient(eventLoad{clients: len(conns), batch: 1, perSession: interactionsPerSession}, t, i, time.Now())
			for range perConnection {
				// The streams live as long as their connection.
				stream, err := openStream(ctx, conn)
				if err != nil {
					return err
				}
				batch, events := c.next(nil)
				if err := stream.SendMsg(batch); err != nil {
					return fmt.Errorf("send event: %w", err)
				}
				if err := receiveAck(stream, sentBatch{at: time.Now(), events: events, wire: batch}, new(clientResult)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, conns.close())
	}
	return conns, nil
}

func (i idle) close() error {
	var errs []error
	for _, conn := range i {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// allowFiles lets this process, and those that it starts, open so many files.
func allowFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur, limit.Max = max(limit.Cur, n), max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files to %d (allow it with 'ulimit -Hn %d'): %w", n, n, err)
	}
	return nil
}

func printIdle(w io.Writer, rows []idleRow) {
	fmt.Fprintf(w, "\n%s idle streams that sent an event each, and one busy client with %d events a batch, %d cores, %s\n",
		humanize.Comma(idleStreams), fullLoad("").batch, runtime.NumCPU(), runtime.Version())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "  connections\topened and acknowledged\tcollector before\tafter\ta stream\tbusy client with them: acknowledged/s\tp50 ms\tp99 ms\twithout: acknowledged/s\tp50 ms\tp99 ms\t")
	for _, r := range rows {
		for turn := range idleTurns {
			fmt.Fprintf(out, "  %s\t%.1f s\t%s\t%s\t%s\t", humanize.Comma(int64(idleStreams/r.perConnection)), r.opening.Seconds(),
				humanize.IBytes(uint64(r.before)), humanize.IBytes(uint64(r.after)), humanize.IBytes(uint64(max(0, r.after-r.before)/idleStreams)))
			for _, l := range []loadResult{r.with[turn].load, r.without[turn].load} {
				fmt.Fprintf(out, "%s\t%.1f\t%.1f\t", whole(float64(l.Events)/l.Seconds), l.AckP50Ms, l.AckP99Ms)
			}
			fmt.Fprintln(out)
		}
	}
	_ = out.Flush()
}
