package doctor

import (
	"fmt"
	"time"

	"github.com/yirifi/flywheel/internal/eventlog"
)

const (
	// syncShare is the part of the possible groups a second from which on a lane needs a
	// second shard: above it the wait for a sync grows faster than the load.
	syncShare = 0.7
	// storeBehind is the part of what arrives below which ClickHouse does not keep up, when
	// records also wait for longer than batchRhythm. storeCPU is the part of the cores from
	// which on they are what it lacks.
	storeBehind, storeCPU = 0.97, 0.8
	// storeAlone is the part of the cores that ClickHouse takes of a machine that it
	// shares from which on it needs one of its own.
	storeAlone = 0.6
	// unloaded is the number of records a second below which nothing is said of shares.
	unloaded = 1.0
)

// capacity says which limit comes next, with the figures it goes by.
func capacity(f Facts) []Finding {
	var found []Finding
	if f.Log != nil && f.Log.Err == "" && len(f.Log.Before.Streams) == len(f.Log.After.Streams) {
		for i, now := range f.Log.After.Streams {
			if now.Consumed {
				found = append(found, shard(flowOf(f.Log.Before.Streams[i], now, f.Log.Interval), f))
			}
		}
	}
	if f.Log != nil && f.Log.Err == "" && f.Store != nil && f.Store.Err == "" {
		found = append(found, store(f))
	}
	return found
}

// flow is what went through a lane between two looks, in records a second.
type flow struct {
	where           string
	arrived, stored float64
	bytesPerRecord  float64
}

func flowOf(before, now eventlog.StreamStatus, took time.Duration) flow {
	arrived := float64(now.Last) - float64(before.Last)
	stored := arrived - (float64(now.Unprocessed) - float64(before.Unprocessed))
	return flow{
		where:   where(now),
		arrived: ratio(max(arrived, 0), took.Seconds()), stored: ratio(max(stored, 0), took.Seconds()),
		bytesPerRecord: ratio(float64(now.Bytes), float64(now.Records)),
	}
}

// shard says whether the leader of a lane is at its limit: one sync for each group.
func shard(lane flow, f Facts) Finding {
	found := Finding{Check: "shards", Where: lane.where, Level: OK}
	rate := fmt.Sprintf("%.0f groups/s of %s arrive", lane.arrived, sizeText(uint64(lane.bytesPerRecord)))
	if f.Machine == nil || f.Machine.groups() == 0 || !f.Log.After.SyncsAlways {
		found.Level = Unknown
		found.Says = rate + "; how many the log's disk can sync is measured only where it is on this machine"
		return found
	}
	possible := f.Machine.groups()
	found.Says = fmt.Sprintf("%s, its leader can sync %.0f", rate, possible)
	if lane.arrived < syncShare*possible {
		found.Says += ": no second shard needed"
		return found
	}
	found.Level = Warning
	found.Says += fmt.Sprintf(", %s of it", percent(lane.arrived/possible))
	return found.advise("three NATS servers with disks of their own are next, then a second shard of this lane on them (--log-shards 2): on one disk it gains little, see docs/scaling.md")
}

// store says whether ClickHouse is at its limit.
func store(f Facts) Finding {
	var arrived, stored float64
	var waits time.Duration
	for i, now := range f.Log.After.Streams {
		if now.Consumed && i < len(f.Log.Before.Streams) {
			one := flowOf(f.Log.Before.Streams[i], now, f.Log.Interval)
			arrived, stored = arrived+one.arrived, stored+one.stored
			waits = max(waits, age(now, f.Log.After.Clock))
		}
	}
	found := Finding{Check: "clickhouse", Where: "ClickHouse", Level: OK}
	if arrived < unloaded {
		found.Says = "next to nothing arrives: nothing to go by"
		return found
	}
	share, cpu := stored/arrived, ratio(f.Store.CPU, float64(f.Store.Cores))
	found.Says = fmt.Sprintf("stores %s of what arrives, %.0f rows/s", percent(share), max(f.Store.Rows, 0))
	if f.Store.CPU >= 0 && f.Store.Cores > 0 {
		found.Says += fmt.Sprintf(", on %.1f of %d cores", f.Store.CPU, f.Store.Cores)
	}
	shared := f.Machine != nil && f.Machine.EngineCPU >= 0
	busy := shared && ratio(f.Machine.UpCPU+f.Machine.EngineCPU, float64(f.Machine.Cores)) >= storeCPU
	behind := share < storeBehind && waits >= batchRhythm
	switch {
	case behind && shared && busy:
		found.Level = Warning
		return found.advise("the cores of this machine are the limit: a ClickHouse server of its own is next (--clickhouse-url)")
	case behind && cpu >= storeCPU:
		found.Level = Warning
		return found.advise("its cores are the limit: a second ClickHouse shard is next")
	case behind:
		found.Level = Warning
		return found.advise("its cores are not the limit: look at its disk, and at the processors' log lines, first")
	case shared && ratio(f.Machine.EngineCPU, float64(f.Machine.Cores)) >= storeAlone:
		found.Says += ": it keeps up, and takes most of this machine"
	default:
		found.Says += ": no ClickHouse of its own, and no further shard, needed"
	}
	return found
}
