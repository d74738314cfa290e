package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a program under supervision: when it ends it is started again, after a
// short pause, as an init system would.
type process struct {
	name    string
	command []string
	env     []string
	log     *os.File
	pause   time.Duration

	mu      sync.Mutex
	running *os.Process
	starts  int
	held    bool // not to be started again for now
	done    chan struct{}
}

// run starts the program again and again until ctx ends, and kills it then.
func (p *process) run(ctx context.Context) {
	defer close(p.done)
	for ctx.Err() == nil {
		if err := p.once(ctx); err != nil {
			fmt.Fprintf(p.log, "-- %s ended: %v\n", time.Now().Format(time.StampMilli), err)
		}
		for first := true; first || p.isHeld(); first = false {
			select {
			case <-ctx.Done():
				return
			case <-time.After(p.pause):
			}
		}
	}
}

func (p *process) isHeld() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// hold keeps the program from being started again, until it is called with false.
func (p *process) hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}

func (p *process) once(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.running = cmd.Process
	p.starts++
	p.mu.Unlock()
	err := cmd.Wait()
	p.mu.Lock()
	p.running = nil
	p.mu.Unlock()
	return err
}

// signal sends a signal to the program, if it runs.
func (p *process) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		return nil
	}
	if err := p.running.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

func (p *process) kill() error { return p.signal(syscall.SIGKILL) }
