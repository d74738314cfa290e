package trainset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// set is the state of a training set.
type set struct {
	tenant      string
	id          uuid.UUID
	revision    uint64
	fingerprint string
	request     *flywheelv1.CreateTrainingSetRequest
	state       flywheelv1.TrainingSetState
	problem     string
	// table has its rows once it is ready.
	table    string
	progress flywheelv1.TrainingSetProgress
	counts   []count
	leftOut  map[string]uint64
	created  time.Time
	updated  time.Time
}

// count is how many rows of a split have a label.
type count struct {
	split, label string
	rows         uint64
}

// message is the set as clients see it.
func (s *set) message() *flywheelv1.TrainingSet {
	m := &flywheelv1.TrainingSet{
		TrainingSetId: s.id.String(), Request: s.request, State: s.state, Error: s.problem,
		CreatedAt: timestamppb.New(s.created), UpdatedAt: timestamppb.New(s.updated), LeftOut: s.leftOut,
		Progress: proto.CloneOf(&s.progress),
	}
	for _, c := range s.counts {
		m.Counts = append(m.Counts, &flywheelv1.TrainingSetCount{Split: c.split, Label: c.label, Rows: c.rows})
	}
	return m
}

// rows is how many rows the set has.
func (s *set) rows() (n uint64) {
	for _, c := range s.counts {
		n += c.rows
	}
	return n
}

const selectSets = `
	SELECT
		tenant, training_set_id, revision, fingerprint, request, toInt8(state), error, rows_table, step, rows, bytes, expected_rows, eta_s,
		counts.split, counts.label, counts.rows, left_out, created_at, updated_at
	FROM training_sets FINAL
	WHERE `

// sets reads states, the newest first.
func sets(ctx context.Context, db *warehouse.DB, condition string, args ...any) (found []*set, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read training sets: %w", err)
		}
	}()
	rows, err := db.Conn().Query(ctx, selectSets+condition, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		s := &set{request: new(flywheelv1.CreateTrainingSetRequest)}
		var request string
		var state int8
		var splits, labels []string
		var counts []uint64
		p := &s.progress
		if err := rows.Scan(&s.tenant, &s.id, &s.revision, &s.fingerprint, &request, &state, &s.problem, &s.table,
			&p.Step, &p.Rows, &p.Bytes, &p.ExpectedRows, &p.EtaS, &splits, &labels, &counts, &s.leftOut, &s.created, &s.updated); err != nil {
			return nil, err
		}
		if err := proto.Unmarshal([]byte(request), s.request); err != nil {
			return nil, fmt.Errorf("request of %s: %w", s.id, err)
		}
		s.state = flywheelv1.TrainingSetState(state)
		for i := range counts {
			s.counts = append(s.counts, count{splits[i], labels[i], counts[i]})
		}
		found = append(found, s)
	}
	return found, rows.Err()
}

// find reads one set of a tenant. Without it the error is NOT_FOUND.
func find(ctx context.Context, db *warehouse.DB, tenant, id string) (*set, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "training_set_id %q is not a UUID: ListTrainingSets lists those that there are", id)
	}
	found, err := sets(ctx, db, "tenant = {tenant:String} AND training_set_id = {id:UUID}",
		clickhouse.Named("tenant", tenant), clickhouse.Named("id", parsed.String()))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, status.Errorf(codes.NotFound, "there is no training set %s: ListTrainingSets lists those that there are", id)
	}
	return found[0], nil
}

// store writes the state as a new revision.
func (s *set) store(ctx context.Context, db *warehouse.DB) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store training set %s: %w", s.id, err)
		}
	}()
	request, err := proto.MarshalOptions{Deterministic: true}.Marshal(s.request)
	if err != nil {
		return err
	}
	s.revision++
	s.updated = time.Now().UTC().Truncate(time.Millisecond)
	var splits, labels []string
	var counts []uint64
	for _, c := range s.counts {
		splits, labels, counts = append(splits, c.split), append(labels, c.label), append(counts, c.rows)
	}
	batch, err := db.Conn().PrepareBatch(ctx, `INSERT INTO training_sets
		(tenant, training_set_id, revision, fingerprint, request, state, error, rows_table, step, rows, bytes, expected_rows, eta_s,
		counts.split, counts.label, counts.rows, left_out, created_at, updated_at)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batch.Close()) }()
	p := &s.progress
	err = batch.Append(s.tenant, s.id, s.revision, s.fingerprint, string(request), int8(s.state), s.problem, s.table, p.Step, p.Rows, p.Bytes,
		p.ExpectedRows, p.EtaS, splits, labels, counts, s.leftOut, s.created, s.updated)
	if err != nil {
		return err
	}
	return batch.Send()
}
