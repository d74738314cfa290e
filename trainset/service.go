package trainset

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/trainset/files"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1_000
)

// CreateTrainingSet implements [flywheelv1.TrainingSetServiceServer].
func (s *Service) CreateTrainingSet(ctx context.Context, req *flywheelv1.CreateTrainingSetRequest) (*flywheelv1.CreateTrainingSetResponse, error) {
	resp := new(flywheelv1.CreateTrainingSetResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) error {
		made, err := s.create(ctx, tenant, proto.CloneOf(req))
		if err == nil {
			resp.TrainingSet = made.message()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// create stores the request, for Run to make the set, or returns the set that it asks for
// and that is there already.
func (s *Service) create(ctx context.Context, tenant string, req *flywheelv1.CreateTrainingSetRequest) (*set, error) {
	if req.GetWatermark() != nil && !req.GetWatermark().IsValid() {
		return nil, status.Errorf(codes.InvalidArgument, "watermark: not a valid timestamp: %v", req.GetWatermark().CheckValid())
	}
	given := req.GetWatermark() != nil
	normalize(req)
	if _, wrong := newPlan(tenant, req); len(wrong) > 0 {
		return nil, wrong.Err()
	}
	if err := checkPredicate(ctx, s.db, req.GetSelection().GetPredicate()); err != nil {
		return nil, err
	}
	if err := complete(ctx, s.db, req); err != nil {
		return nil, err
	}
	id, err := fingerprint(req)
	if err != nil {
		return nil, err
	}
	there, err := sets(ctx, s.db, "tenant = {tenant:String} AND fingerprint = {fingerprint:String} AND state IN ('running', 'ready') ORDER BY created_at LIMIT 1",
		clickhouse.Named("tenant", tenant), clickhouse.Named("fingerprint", id))
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return there[0], nil
	}
	if given {
		return nil, status.Error(codes.FailedPrecondition,
			"watermark: there is no training set of this request with this watermark, and what arrived since then cannot be told apart: leave the watermark out for a new one")
	}
	v7, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make id: %w", err)
	}
	made := &set{
		tenant: tenant, id: v7, fingerprint: id, request: req, state: running, leftOut: map[string]uint64{},
		created: time.Now().UTC().Truncate(time.Millisecond),
	}
	made.progress.Step = stepWaiting
	if err := made.store(ctx, s.db); err != nil {
		return nil, err
	}
	select {
	case s.wake <- struct{}{}:
	default: // Run looks anyway
	}
	return made, nil
}

// GetTrainingSet implements [flywheelv1.TrainingSetServiceServer].
func (s *Service) GetTrainingSet(ctx context.Context, req *flywheelv1.GetTrainingSetRequest) (*flywheelv1.GetTrainingSetResponse, error) {
	resp := new(flywheelv1.GetTrainingSetResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) error {
		found, err := find(ctx, s.db, tenant, req.GetTrainingSetId())
		if err == nil {
			resp.TrainingSet = found.message()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListTrainingSets implements [flywheelv1.TrainingSetServiceServer].
func (s *Service) ListTrainingSets(ctx context.Context, req *flywheelv1.ListTrainingSetsRequest) (*flywheelv1.ListTrainingSetsResponse, error) {
	size := int(req.GetPageSize())
	if size < 0 || size > maxPageSize {
		return nil, status.Errorf(codes.InvalidArgument, "page_size: %d: 1 to %d is possible, 0 stands for %d", size, maxPageSize, defaultPageSize)
	}
	if size == 0 {
		size = defaultPageSize
	}
	// Ids are UUIDv7: the newest have the largest.
	before := req.GetPageToken()
	if _, err := uuid.Parse(before); before != "" && err != nil {
		return nil, status.Error(codes.InvalidArgument, "page_token: not a next_page_token of ListTrainingSets")
	}
	if before == "" {
		before = "ffffffff-ffff-ffff-ffff-ffffffffffff"
	}
	resp := new(flywheelv1.ListTrainingSetsResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) error {
		found, err := sets(ctx, s.db, "tenant = {tenant:String} AND toString(training_set_id) < {before:String} ORDER BY toString(training_set_id) DESC LIMIT {most:UInt32}",
			clickhouse.Named("tenant", tenant), clickhouse.Named("before", before), clickhouse.Named("most", size+1))
		for i, one := range found {
			if i == size {
				resp.NextPageToken = found[size-1].id.String()
				break
			}
			resp.TrainingSets = append(resp.TrainingSets, one.message())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// CancelTrainingSet implements [flywheelv1.TrainingSetServiceServer].
func (s *Service) CancelTrainingSet(ctx context.Context, req *flywheelv1.CancelTrainingSetRequest) (*flywheelv1.CancelTrainingSetResponse, error) {
	resp := new(flywheelv1.CancelTrainingSetResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) error {
		found, err := find(ctx, s.db, tenant, req.GetTrainingSetId())
		if err != nil {
			return err
		}
		if found.state != running {
			return status.Errorf(codes.FailedPrecondition, "the training set %s is %s: only one that is being made can be cancelled", found.id, stateName(found.state))
		}
		// Whoever makes it notices within a second.
		found.state = cancelled
		found.revision += cancelLead
		resp.TrainingSet = found.message()
		if err := found.store(ctx, s.db); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if stop := s.running[found.id]; stop != nil {
			stop()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// cancelLead is by how many revisions a cancellation is ahead of what a job notes at the
// same moment.
const cancelLead = 1_000

// DeleteTrainingSet implements [flywheelv1.TrainingSetServiceServer].
func (s *Service) DeleteTrainingSet(ctx context.Context, req *flywheelv1.DeleteTrainingSetRequest) (*flywheelv1.DeleteTrainingSetResponse, error) {
	resp := new(flywheelv1.DeleteTrainingSetResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) error {
		found, err := find(ctx, s.db, tenant, req.GetTrainingSetId())
		if err != nil {
			return err
		}
		if found.state == running {
			return status.Errorf(codes.FailedPrecondition, "the training set %s is being made: cancel it first", found.id)
		}
		found.state, found.table = deleted, ""
		if err := found.store(ctx, s.db); err != nil {
			return err
		}
		resp.TrainingSet = found.message()
		return s.db.DropTables(ctx, tablePrefix(found.id), "")
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// stateName is a state in words.
func stateName(s flywheelv1.TrainingSetState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "TRAINING_SET_STATE_"))
}

// canonical gives JSON whose bytes depend on the values alone: protojson varies its white
// space on purpose.
func canonical(text []byte) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return b.Bytes(), nil
}

// card says what the dataset card says of a set.
func card(set *set, p *plan) files.Card {
	name := set.request.GetName()
	if name == "" {
		name = "Flywheel " + strings.ReplaceAll(p.format.name, "_", " ")
	}
	return files.Card{
		PrettyName: name, Tags: []string{"flywheel", p.format.name}, TaskCategories: []string{"text-generation"},
		About: fmt.Sprintf("Training set `%s`: %s, made by Flywheel from what people did with the suggestions of AI agents. "+
			"Reading it again gives the same bytes.", set.id, p.format.about),
	}
}
