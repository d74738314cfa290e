package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// maxSlots bounds how many runs there can be at a time on a machine: a slot's number is
// part of an address.
const maxSlots = 200

// diskBytes is the size of a file system that is going to be full.
const diskBytes = "192m"

// slot is what one run at a time has for itself on this machine, among all campaigns: a
// folder, and a number for its network.
type slot struct {
	number int
	dir    string
	lock   *flock.Flock
}

// root is the folder of all slots of a user. It does not depend on the environment:
// networks, which slots stand for, do not either.
func root() string { return fmt.Sprintf("/tmp/flywheel-faults-%d", os.Geteuid()) }

// takeSlots takes n free slots and removes what killed runs have left in them.
func takeSlots(ctx context.Context, n int) (slots []*slot, err error) {
	if err := os.MkdirAll(root(), 0o750); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, freeSlots(ctx, slots))
			slots = nil
		}
	}()
	for number := range maxSlots {
		if len(slots) == n {
			return slots, nil
		}
		dir := filepath.Join(root(), fmt.Sprint("slot-", number))
		lock := flock.New(dir + ".lock")
		free, err := lock.TryLock()
		if err != nil {
			return slots, fmt.Errorf("lock %s: %w", dir, err)
		}
		if !free {
			continue
		}
		s := &slot{number: number, dir: dir, lock: lock}
		slots = append(slots, s)
		if err := s.clean(ctx); err != nil {
			return slots, err
		}
	}
	return slots, fmt.Errorf("only %d of %d slots in %s are free: end other campaigns first", len(slots), n, root())
}

// freeSlots cleans slots and gives them back.
func freeSlots(ctx context.Context, slots []*slot) error {
	var errs []error
	for _, s := range slots {
		errs = append(errs, s.clean(ctx), s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// clean removes everything that a run, killed or not, has left: processes, mounts,
// networks, files.
func (s *slot) clean(ctx context.Context) error {
	if err := s.endProcesses(); err != nil {
		return err
	}
	removeNetwork(ctx, s.number)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list mounts: %w", err)
	}
	var errs []error
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], s.dir+"/") {
			errs = append(errs, syscall.Unmount(fields[1], syscall.MNT_DETACH))
		}
	}
	return errors.Join(errors.Join(errs...), os.RemoveAll(s.dir))
}

// endProcesses kills what still works on the slot's folder: an engine that was stopped
// when its harness was killed.
func (s *slot) endProcesses() error {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	var errs []error
	for _, name := range commands {
		command, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && pid != os.Getpid() && bytes.Contains(command, []byte(s.dir+"/")) {
			errs = append(errs, ignoreGone(syscall.Kill(pid, syscall.SIGKILL)))
		}
	}
	return errors.Join(errs...)
}

// mount puts a small file system under a folder. Cleaning the slot removes it.
func mount(folder string) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+diskBytes); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	return nil
}
