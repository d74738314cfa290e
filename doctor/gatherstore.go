package doctor

import (
	"context"
	"embed"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/yirifi/flywheel/internal/warehouse"
)

//go:embed sql/*.sql
var queries embed.FS

var ofServers = regexp.MustCompile(`\bSERVERS\.\w+`)

// ask fills in the facts. It reads system tables and the settlers' notes only.
func (s *Store) ask(ctx context.Context, db *warehouse.DB, sample time.Duration) error {
	rows, cpu, err := work(ctx, db)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := s.askServer(ctx, db); err != nil {
		return err
	}
	if err := s.askTables(ctx, db); err != nil {
		return err
	}
	if err := pause(ctx, sample-time.Since(begin)); err != nil {
		return err
	}
	rowsAfter, cpuAfter, err := work(ctx, db)
	if err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	s.Rows, s.CPU = float64(rowsAfter-rows)/seconds, float64(cpuAfter-cpu)/1e6/seconds
	return nil
}

// one runs a query of a file that returns one row. What stands for SERVERS.table is the
// system table of all servers of a cluster.
func one(ctx context.Context, db *warehouse.DB, name string, into ...any) error {
	file, err := queries.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return err
	}
	query := ofServers.ReplaceAllStringFunc(string(file), func(table string) string { return db.System(strings.TrimPrefix(table, "SERVERS.")) })
	if err := db.Conn().QueryRow(ctx, query).Scan(into...); err != nil {
		return fmt.Errorf("ask ClickHouse for %s: %w", name, err)
	}
	return nil
}

// work is how many rows were inserted and how many microseconds of CPU were used since
// the server started.
func work(ctx context.Context, db *warehouse.DB) (rows, cpu int64, err error) {
	err = one(ctx, db, "work", &rows, &cpu)
	return rows, cpu, err
}

func (s *Store) askServer(ctx context.Context, db *warehouse.DB) error {
	asked := time.Now()
	if err := one(ctx, db, "server", &s.Version, &s.Clock); err != nil {
		return err
	}
	s.RoundTrip = time.Since(asked)
	s.Asked = asked.Add(s.RoundTrip / 2)
	if err := one(ctx, db, "disk", &s.Disk, &s.Free, &s.Total); err != nil {
		return err
	}
	var cores uint64
	if err := one(ctx, db, "settings", &s.AsyncInsert, &s.WaitForAsync, &s.PartsDelay, &cores); err != nil {
		return err
	}
	s.Cores = int(cores) //nolint:gosec // a number of cores
	return nil
}

func (s *Store) askTables(ctx context.Context, db *warehouse.DB) (err error) {
	if s.Migrations, s.Known, err = db.CheckSchema(ctx); err != nil {
		s.SchemaErr = text(err)
		return nil // the tables are not those that the other questions are about
	}
	if err := one(ctx, db, "parts", &s.PartsOf, &s.MostParts); err != nil {
		return err
	}
	if err := one(ctx, db, "mutations", &s.StuckMutations); err != nil {
		return err
	}
	var merging float64
	if err := one(ctx, db, "merges", &merging); err != nil {
		return err
	}
	s.LongestMerge = time.Duration(merging * float64(time.Second))
	if s.Migrations < s.Known {
		return nil
	}
	if s.UnnotedAges, err = db.UnnotedAges(ctx); err != nil {
		return err
	}
	return one(ctx, db, "unsettled", &s.Unsettled, &s.OldestUnsettled)
}
