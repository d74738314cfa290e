package doctor

import (
	"fmt"
	"time"
)

const (
	// filesWarning is fewer than ClickHouse and a busy log have open.
	filesWarning, filesWrong = 4096, 1024
	// memoryNeeded is the peak of "up" and its engine at full load (docs/performance.md):
	// 1.9 GiB and 744 MiB, rounded up.
	memoryNeeded = 3 << 30
	// memoryFree is below what a busy minute may take at once.
	memoryFree = 512 << 20
	// syncWarning is the time of a sync that leaves a lane 50 groups a second.
	syncWarning = 20 * time.Millisecond
)

// findings are those of the checks of the machine.
func (m *Machine) findings() []Finding {
	return []Finding{space("data folder "+m.Dir, m.Free, m.Total), m.syncs(), m.files(), m.memory()}
}

// syncs says how fast the disk stores for good.
func (m *Machine) syncs() Finding {
	f := Finding{Check: "sync", Where: "data folder", Level: OK}
	if m.SyncErr != "" {
		f.Level, f.Says = Unknown, "not measured: "+m.SyncErr
		return f.advise("run the doctor as the user that runs flywheel")
	}
	if m.Sync256K >= syncWarning {
		f.Level = Warning
	}
	f.Says = fmt.Sprintf("4 KiB are synced in %v, 256 KiB in %v: at most %.0f groups of events a second and lane",
		m.Sync4K.Round(time.Microsecond), m.Sync256K.Round(time.Microsecond), m.groups())
	return f.advise("use a disk with a write cache that survives a power cut (data-centre SSD): acknowledgements wait for it")
}

// groups is how many groups of events a lane can sync in a second: one sync for each.
func (m *Machine) groups() float64 { return ratio(1, m.Sync256K.Seconds()) }

func (m *Machine) files() Finding {
	f := Finding{Check: "files", Where: "machine", Level: OK, Says: fmt.Sprintf("a process may have %d files open", m.OpenFiles)}
	if m.OpenFiles < filesWrong {
		f.Level = Wrong
	} else if m.OpenFiles < filesWarning {
		f.Level = Warning
	}
	return f.advise("raise it (LimitNOFILE= of the service, ulimit -n): connections and parts of tables need one each")
}

func (m *Machine) memory() Finding {
	f := Finding{Check: "memory", Where: "machine", Level: OK, Says: fmt.Sprintf("%s available of %s", sizeText(m.Available), sizeText(m.Memory))}
	if m.Available < memoryFree {
		f.Level = Wrong
		return f.advise("stop what else runs here, or bound flywheel: GOMEMLIMIT and --engine-memory")
	}
	if m.Memory < memoryNeeded {
		f.Level = Warning
		f.Says += fmt.Sprintf("; 'flywheel up' at full load takes up to %s", sizeText(memoryNeeded))
	}
	return f.advise("bound it: GOMEMLIMIT=600MiB and --engine-memory 512MiB cost about a third of the throughput")
}
