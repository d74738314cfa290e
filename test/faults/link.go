package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	linkBuffer = 16 << 10
	holdPoll   = 20 * time.Millisecond
)

// link passes TCP connections on to a target and can do to them what networks do. It
// forwards bytes and knows no protocol. Its methods may be called concurrently.
type link struct {
	listener net.Listener
	target   string
	// delay is for each piece of data, in nanoseconds; held stops all data, mute what goes
	// to the target; deaf swallows what the target answers; twice sends what comes to the
	// target over a second connection too.
	delay                   atomic.Int64
	held, mute, deaf, twice atomic.Bool

	mu      sync.Mutex
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

// newLink listens on a free port of the address.
func newLink(ctx context.Context, address, target string) (*link, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("make link to %s: %w", target, err)
	}
	l := &link{listener: listener, target: target, conns: map[net.Conn]bool{}}
	l.running.Go(l.accept)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.serve(client) })
	}
}

// serve joins a connection with one to the target, until either ends.
func (l *link) serve(client net.Conn) {
	defer l.keep(client)()
	l.wait(&l.mute)
	server, err := net.Dial("tcp", l.target) //nolint:noctx // ended by closing
	if err != nil {
		return
	}
	defer l.keep(server)()
	var to io.Writer = server
	if l.twice.Load() {
		if second, err := net.Dial("tcp", l.target); err == nil { //nolint:noctx // ended by closing
			defer l.keep(second)()
			go func() { _, _ = io.Copy(io.Discard, second) }()
			to = io.MultiWriter(server, second)
		}
	}
	var both sync.WaitGroup
	both.Go(func() {
		l.copy(to, client, &l.mute, nil)
		_ = server.Close()
	})
	both.Go(func() {
		l.copy(client, server, &l.held, &l.deaf)
		_ = client.Close()
	})
	both.Wait()
}

// keep notes a connection and returns what closes and forgets it.
func (l *link) keep(c net.Conn) func() {
	l.mu.Lock()
	l.conns[c] = true
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		_ = c.Close()
	}
}

// copy passes data on, but while stop is set, or the link is held, it waits. What comes
// while swallow is set is read and forgotten, and the connection is then of no use.
func (l *link) copy(to io.Writer, from net.Conn, stop, swallow *atomic.Bool) {
	buffer := make([]byte, linkBuffer)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if delay := l.delay.Load(); delay > 0 {
			<-time.After(time.Duration(delay))
		}
		l.wait(stop)
		if swallow != nil && swallow.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// wait returns when neither the link is held nor stop is set.
func (l *link) wait(stop *atomic.Bool) {
	for l.held.Load() || stop.Load() {
		<-time.After(holdPoll)
	}
}

// cut resets all connections.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// heal makes the link pass everything on; connections that lost data are cut.
func (l *link) heal() {
	lossy := l.deaf.Swap(false)
	l.delay.Store(0)
	l.held.Store(false)
	l.mute.Store(false)
	if l.twice.Swap(false) || lossy {
		l.cut()
	}
}

// close ends the link and its connections.
func (l *link) close() {
	_ = l.listener.Close()
	l.heal()
	l.cut()
	l.running.Wait()
}
