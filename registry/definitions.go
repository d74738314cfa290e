// Package registry keeps what signals mean and where models come from: the versions of
// the definition of labels and rewards, and the lineage of models.
package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/yirifi/flywheel/internal/warehouse"
	"github.com/yirifi/flywheel/processor/signal"
)

const selectDefinitions = `
	SELECT
		definition, name, notes, created_at, window_s, min_reject_us, fast_reject_us,
		w_accepted, w_accepted_modified, w_partially_accepted, w_rejected, w_rejected_fast,
		w_retention, w_delays, w_kept, w_thumb, w_rating, w_task_results
	FROM definitions FINAL
	ORDER BY definition`

// Definitions reads the definitions of a warehouse, by version.
func Definitions(ctx context.Context, db *warehouse.DB) (all []signal.Definition, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read definitions: %w", err)
		}
	}()
	rows, err := db.Conn().Query(ctx, selectDefinitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var d signal.Definition
		var windowS uint32
		var rejectUs, fastUs uint64
		var delays []uint32
		var results []int32
		w := &d.Weights
		err := rows.Scan(
			&d.Version, &d.Name, &d.Notes, &d.CreatedAt, &windowS, &rejectUs, &fastUs,
			&w.Accepted, &w.AcceptedModified, &w.PartiallyAccepted, &w.Rejected, &w.RejectedFast,
			&w.Retention, &delays, &w.Kept, &w.Thumb, &w.Rating, &results)
		if err != nil {
			return nil, err
		}
		if copy(w.Delays[:], delays) != len(w.Delays) || copy(w.TaskResults[:], results) != len(w.TaskResults) {
			return nil, fmt.Errorf("definition %d: %d delays and %d task results, want %d and %d",
				d.Version, len(delays), len(results), len(w.Delays), len(w.TaskResults))
		}
		d.Window = time.Duration(windowS) * time.Second
		d.MinReject, d.FastReject = time.Duration(rejectUs)*time.Microsecond, time.Duration(fastUs)*time.Microsecond
		all = append(all, d)
	}
	return all, rows.Err()
}

// ErrExists says that there is another definition of that version.
var ErrExists = errors.New("a definition never changes, and there is another one of this version")

// AddDefinition stores a definition, which training_signals then also uses. Adding one
// that is there already changes nothing. Two callers must not add the same version at
// the same time.
func AddDefinition(ctx context.Context, db *warehouse.DB, d signal.Definition) error {
	if err := d.Validate(); err != nil {
		return err
	}
	all, err := Definitions(ctx, db)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(all, func(other signal.Definition) bool { return other.Version == d.Version }); i >= 0 {
		d.CreatedAt = all[i].CreatedAt
		if d != all[i] {
			return fmt.Errorf("add definition %d: %w (the next is %d)", d.Version, ErrExists, all[len(all)-1].Version+1)
		}
		return nil
	}
	w := &d.Weights
	err = db.Conn().Exec(ctx, `INSERT INTO definitions VALUES (?, ?, now64(3), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Version, d.Name, d.Notes, uint32(d.Window/time.Second), uint64(d.MinReject.Microseconds()), uint64(d.FastReject.Microseconds()),
		w.Accepted, w.AcceptedModified, w.PartiallyAccepted, w.Rejected, w.RejectedFast,
		w.Retention, w.Delays[:], w.Kept, w.Thumb, w.Rating, w.TaskResults[:])
	if err != nil {
		return fmt.Errorf("add definition %d: %w", d.Version, err)
	}
	return nil
}
