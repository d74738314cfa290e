package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

// syncs is how often each size is written and synced.
const syncs = 15

// look measures the machine. What cannot be known stays zero.
func (m *Machine) look(ctx context.Context, cfg Config) {
	m.Cores = runtime.NumCPU()
	m.UpCPU, m.EngineCPU = usage(ctx, cfg.PID, cfg.Sample)
	if usage, err := disk.UsageWithContext(ctx, cfg.Dir); err == nil {
		m.Free, m.Total = usage.Free, usage.Total
	}
	if memory, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		m.Memory, m.Available = memory.Total, memory.Available
	}
	m.OpenFiles = openFiles(ctx, cfg.PID)
	m.SyncErr = text(m.measureSyncs(cfg.Dir))
}

// openFiles is the limit of a process, or of this one.
func openFiles(ctx context.Context, pid int) uint64 {
	if pid == 0 {
		pid = os.Getpid()
	}
	p, err := process.NewProcessWithContext(ctx, int32(pid)) //nolint:gosec // process numbers fit
	if err != nil {
		return 0
	}
	limits, err := p.RlimitWithContext(ctx)
	if err != nil {
		return 0
	}
	for _, limit := range limits {
		if limit.Resource == process.RLIMIT_NOFILE {
			return limit.Soft
		}
	}
	return 0
}

// usage is how many cores a process and its children use. Negative: not known.
func usage(ctx context.Context, pid int, sample time.Duration) (own, children float64) {
	before, childrenBefore, err := cpuOf(ctx, pid)
	begin := time.Now()
	if err != nil || pause(ctx, sample) != nil {
		return -1, -1
	}
	after, childrenAfter, err := cpuOf(ctx, pid)
	if err != nil {
		return -1, -1
	}
	seconds := time.Since(begin).Seconds()
	return (after - before) / seconds, (childrenAfter - childrenBefore) / seconds
}

// cpuOf is how many seconds of CPU a process and its children have used.
func cpuOf(ctx context.Context, pid int) (own, children float64, err error) {
	if pid == 0 {
		return 0, 0, errors.New("no process")
	}
	p, err := process.NewProcessWithContext(ctx, int32(pid)) //nolint:gosec // process numbers fit
	if err != nil {
		return 0, 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	times, err := p.TimesWithContext(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	running, err := p.ChildrenWithContext(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("look at children of process %d: %w", pid, err)
	}
	for _, child := range running {
		if times, err := child.TimesWithContext(ctx); err == nil {
			children += times.User + times.System
		}
	}
	return times.User + times.System, children, nil
}

// measureSyncs times writes that are synced, in a file that is gone afterwards.
func (m *Machine) measureSyncs(dir string) (err error) {
	file, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if m.Sync4K, err = syncTime(file, 4<<10); err != nil {
		return err
	}
	m.Sync256K, err = syncTime(file, 256<<10)
	return err
}

// syncTime is the median of the time to append and sync so many bytes.
func syncTime(file *os.File, size int) (time.Duration, error) {
	data := make([]byte, size)
	var took []time.Duration
	for range syncs {
		begin := time.Now()
		if _, err := file.Write(data); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
