package doctor

import (
	"fmt"
	"time"
)

const (
	partsWarning = 0.5
	partsWrong   = 1.0
	mergeWarning = time.Hour
	// mutationPatience is how long a mutation may take.
	mutationPatience           = time.Hour
	settleWarning, settleWrong = time.Minute, 10 * time.Minute
	settleHint                 = "see whether a processor with a settler runs and what it logs; under a load at the machine's limit rates fall behind and catch up afterwards"
	clickHouseHint             = "start ClickHouse, or give its URL with --clickhouse-url: until it is back the log keeps events, and rates stand still"
	partsHint                  = "look for processors that insert small blocks (many processes, --flush-delay too short), or disks that are too slow to merge; inserts are delayed at this number and refused at the next"
	asyncHint                  = "remove async_insert from the --clickhouse-url and from the settings of its user: a record may be acknowledged only when its rows are stored"
	mutationHint               = "see system.mutations; KILL MUTATION removes one that cannot succeed, and merges of its parts wait until then"
	ageHint                    = "remove the TTL, and set ages with the --keep-* flags of the processors: otherwise rates are counted again from what is gone"
	mergeHint                  = "look at the disk of ClickHouse: merges that take this long fall behind"
	migrateHint                = "run the same version of flywheel everywhere"
	migrateFirst               = "start a processor of this version: it brings the tables up to date"
)

// findings are those of the checks of ClickHouse.
func (s *Store) findings() []Finding {
	const where = "ClickHouse"
	if s.Err != "" {
		return []Finding{{Check: "reachable", Where: where, Level: Wrong, Says: s.Err, Do: clickHouseHint}}
	}
	return []Finding{
		{Check: "reachable", Where: where, Level: OK, Says: "ClickHouse " + s.Version + " answers"},
		s.schema(),
		clock(where, s.Clock, s.Asked, s.RoundTrip),
		space(fmt.Sprintf("disk %q of ClickHouse", s.Disk), s.Free, s.Total),
		s.parts(),
		s.asyncInsert(),
		none("mutations", "mutations", s.StuckMutations, "fail or are not done after "+mutationPatience.String()).advise(mutationHint),
		s.merges(),
		none("ages", "ages of tables", s.UnnotedAges, "drop rows by an age that settlers do not know").advise(ageHint),
		s.settling(),
	}
}

// none is wrong when there are any.
func none(check, where string, names []string, what string) Finding {
	f := Finding{Check: check, Where: where, Level: OK, Says: "as they should be"}
	if len(names) > 0 {
		f.Level, f.Says = Wrong, fmt.Sprintf("%s %s", list(names), what)
	}
	return f
}

func (s *Store) schema() Finding {
	f := Finding{Check: "schema", Where: "tables", Level: OK, Says: fmt.Sprintf("%d migrations, all that this flywheel knows", s.Migrations)}
	if s.SchemaErr != "" {
		f.Level, f.Says, f.Do = Wrong, s.SchemaErr, migrateHint
	} else if s.Migrations < s.Known {
		f.Level, f.Do = Wrong, migrateFirst
		f.Says = fmt.Sprintf("%d migrations, this flywheel knows %d", s.Migrations, s.Known)
	}
	return f
}

func (s *Store) parts() Finding {
	used := ratio(float64(s.MostParts), float64(s.PartsDelay))
	f := Finding{Check: "parts", Where: "tables", Level: grade(used, partsWarning, partsWrong)}
	f.Says = fmt.Sprintf("at most %d parts in a partition, inserts are delayed from %d on", s.MostParts, s.PartsDelay)
	if f.Level != OK {
		f.Says = fmt.Sprintf("%d parts in %s, inserts are delayed from %d on", s.MostParts, s.PartsOf, s.PartsDelay)
	}
	return f.advise(partsHint)
}

func (s *Store) asyncInsert() Finding {
	f := Finding{Check: "inserts", Where: "ClickHouse", Level: OK, Says: "are confirmed when their rows are stored"}
	if s.AsyncInsert && !s.WaitForAsync {
		f.Level, f.Says = Wrong, "are confirmed before their rows are stored (async_insert without wait_for_async_insert)"
	} else if s.AsyncInsert {
		f.Level, f.Says = Warning, "wait in async_insert before they are stored"
	}
	return f.advise(asyncHint)
}

func (s *Store) merges() Finding {
	f := Finding{Check: "merges", Where: "tables", Level: OK, Says: "none takes long"}
	if s.LongestMerge >= mergeWarning {
		f.Level, f.Says = Warning, fmt.Sprintf("one has been running for %v", s.LongestMerge.Round(time.Second))
	}
	return f.advise(mergeHint)
}

// settling says how far rates are behind the tables.
func (s *Store) settling() Finding {
	f := Finding{Check: "rates", Where: "settler", Level: OK, Says: "rates show everything that is stored"}
	if s.Unsettled == 0 {
		return f
	}
	age := max(s.Clock.Sub(s.OldestUnsettled), 0).Round(time.Second)
	f.Level = grade(age, settleWarning, settleWrong)
	f.Says = fmt.Sprintf("%d minutes of rates are due, the oldest for %v", s.Unsettled, age)
	return f.advise(settleHint)
}
