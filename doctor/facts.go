package doctor

import (
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
)

// Facts are what is known of a deployment. Parts that were not looked at are nil.
type Facts struct {
	// Services are the gRPC services.
	Services []Service
	// Ready is a process that was asked whether it reaches what it needs.
	Ready   *Service
	Log     *Log
	Store   *Store
	Machine *Machine
}

// Service is a service or a process that was asked for its health.
type Service struct {
	Name, Address string
	// Err is why it does not serve, empty when it does.
	Err string
}

// Log is the event log, looked at twice.
type Log struct {
	// Err is why nothing else is known. Empty: it is.
	Err string
	// Before and After are Interval apart.
	Before, After eventlog.Status
	Interval      time.Duration
	// Monitor is the server's own account of itself, nil when it was not asked.
	Monitor *Monitor
}

// Monitor is what a NATS server says at its monitoring address.
type Monitor struct {
	// Err is why nothing else is known. Empty: it is.
	Err string
	// SyncAlways is set when every record is synced before it is confirmed.
	SyncAlways bool
	// SlowConsumers are connections that were cut because they did not keep up.
	SlowConsumers int64
}

// Store is ClickHouse.
type Store struct {
	// Err is why nothing else is known. Empty: it is.
	Err     string
	Version string
	// Migrations is how many the database has, Known how many this program knows, and
	// SchemaErr why the two cannot work together.
	Migrations, Known int
	SchemaErr         string
	// Clock is its time, Asked the one here in the middle of the question, and RoundTrip
	// how long the answer took.
	Clock, Asked time.Time
	RoundTrip    time.Duration
	// Free and Total are the bytes of the fullest disk.
	Disk        string
	Free, Total uint64
	// MostParts is the largest number of parts of a partition, which PartsOf names;
	// inserts are delayed from PartsDelay on.
	MostParts, PartsDelay uint64
	PartsOf               string
	// AsyncInsert and WaitForAsync are in force for the processors' inserts.
	AsyncInsert, WaitForAsync bool
	// StuckMutations failed, or are not done after an hour.
	StuckMutations []string
	// LongestMerge is how long the oldest merge has been running.
	LongestMerge time.Duration
	// UnnotedAges are tables that drop rows by an age that settlers do not know.
	UnnotedAges []string
	// Unsettled is how many minutes of rates are due, and OldestUnsettled when the one
	// that waits longest last had data.
	Unsettled       uint64
	OldestUnsettled time.Time
	// Rows is how many rows a second were inserted, and CPU how many cores were busy for
	// it, between the two looks at the log. Negative: not known.
	Rows, CPU float64
	// Cores are those of its machine.
	Cores int
}

// Machine is the one the doctor runs on, with the data folder of an "up".
type Machine struct {
	Dir string
	// Free and Total are the bytes of the data folder's disk.
	Free, Total uint64
	// Sync4K and Sync256K are the medians of the time to write so much and sync it, zero
	// when they were not measured, for the reason SyncErr.
	Sync4K, Sync256K time.Duration
	SyncErr          string
	// OpenFiles is how many files a process may have open.
	OpenFiles uint64
	// Memory is that of the machine, Available what programs can still have.
	Memory, Available uint64
	Cores             int
	// CPU is how many cores the "up" and its engine used between the two looks at the
	// log. Negative: not known.
	UpCPU, EngineCPU float64
}
