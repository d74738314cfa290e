package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

const (
	// command is the hidden first argument that makes the program an engine.
	command = "engine"
	// stderrKept is how much of a child's standard error an error message carries.
	stderrKept = 4096
	pollEvery  = 20 * time.Millisecond
	// pollTimeout bounds the wait for one answer: whoever took the child's port may give
	// none.
	pollTimeout = 2 * time.Second
)

// errPortTaken says that a child ended because another process listens on its port.
var errPortTaken = errors.New("a port is taken")

// launch is what it takes to start a child.
type launch struct {
	program, library, dir, config string
}

// child is one engine process.
type child struct {
	cmd    *exec.Cmd
	input  io.WriteCloser // closing it asks the child to stop
	stderr *tail
	exited chan struct{}
	err    error // set before exited is closed
}

func (l launch) start() (*child, error) {
	cmd := exec.Command(l.program, command, l.library, l.dir, l.config) //nolint:noctx // ended through its input
	separate(cmd)
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start ClickHouse: %w", err)
	}
	c := &child{cmd: cmd, input: input, stderr: &tail{}, exited: make(chan struct{})}
	cmd.Stderr = c.stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ClickHouse: %w", err)
	}
	go func() {
		defer close(c.exited)
		c.err = cmd.Wait()
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// waitReady returns when the child answers a query.
func (c *child) waitReady(ctx context.Context, dsn string) error {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("connect to ClickHouse: %w", err)
	}
	options.DialTimeout = pollTimeout
	conn, err := clickhouse.Open(options)
	if err != nil {
		return fmt.Errorf("connect to ClickHouse: %w", err)
	}
	defer func() { _ = conn.Close() }()
	for {
		err := conn.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			err := fmt.Errorf("ClickHouse ended before it served: %w: %s", c.err, c.stderr)
			if strings.Contains(c.stderr.String(), "Address already in use") {
				return fmt.Errorf("%w: %w", errPortTaken, err)
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for ClickHouse: %w (last answer: %w)", ctx.Err(), err)
		case <-time.After(pollEvery): // from now on: a child that has ended comes first
		}
	}
}

// close asks the child to stop and waits until it has.
func (c *child) close() error {
	if err := c.input.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("stop ClickHouse: %w", err)
	}
	return c.wait()
}

// wait returns when the child has ended, with its error.
func (c *child) wait() error {
	<-c.exited
	return c.err
}

func (c *child) kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill ClickHouse: %w", err)
	}
	return nil
}

// tail keeps the last part of what is written to it.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p)
	if extra := t.text.Len() - stderrKept; extra > 0 {
		t.text.Next(extra)
	}
	return len(p), nil
}

// String is what was kept, on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(t.text.String()), " ")
}
