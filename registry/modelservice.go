package registry

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
)

// CreateModel implements [flywheelv1.ModelServiceServer].
func (s *Service) CreateModel(ctx context.Context, req *flywheelv1.CreateModelRequest) (*flywheelv1.CreateModelResponse, error) {
	m := &flywheelv1.Model{
		Model: req.GetModel(), Parent: req.GetParent(), TrainingSetId: req.GetTrainingSetId(),
		Stage: req.GetStage(), Notes: req.GetNotes(), Revision: 1,
	}
	if m.GetStage() == flywheelv1.ModelStage_MODEL_STAGE_UNSPECIFIED {
		m.Stage = flywheelv1.ModelStage_MODEL_STAGE_OFFLINE
	}
	if err := checkModel(m).Err(); err != nil {
		return nil, err
	}
	m.CreatedAt = now()
	m.UpdatedAt = m.GetCreatedAt()
	err := s.write(ctx, func(ctx context.Context, tenant string) error {
		there, err := model(ctx, s.db, tenant, m.GetModel())
		if err != nil {
			return err
		}
		if there != nil {
			return status.Errorf(codes.AlreadyExists, "the model %q is registered already: UpdateModel changes it", m.GetModel())
		}
		if err := s.checkParent(ctx, tenant, m); err != nil {
			return err
		}
		return s.storeModel(ctx, tenant, m)
	})
	if err != nil {
		return nil, err
	}
	return &flywheelv1.CreateModelResponse{Model: m}, nil
}

// GetModel implements [flywheelv1.ModelServiceServer].
func (s *Service) GetModel(ctx context.Context, req *flywheelv1.GetModelRequest) (*flywheelv1.GetModelResponse, error) {
	resp := new(flywheelv1.GetModelResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) (err error) {
		if resp.Model, err = s.registered(ctx, tenant, req.GetModel()); err != nil {
			return err
		}
		resp.Evaluations, err = evaluations(ctx, s.db, tenant, &evaluationQuery{models: []string{req.GetModel()}, limit: modelEvaluations})
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ListModels implements [flywheelv1.ModelServiceServer].
func (s *Service) ListModels(ctx context.Context, req *flywheelv1.ListModelsRequest) (*flywheelv1.ListModelsResponse, error) {
	q := ModelQuery{Stages: req.GetStages(), Parent: req.Parent, TrainingSetID: req.TrainingSetId}
	var wrong rpc.Violations
	for i, stage := range req.GetStages() {
		checkStage(&wrong, fmt.Sprintf("stages[%d]", i), stage)
	}
	size := checkPageSize(&wrong, req.GetPageSize())
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil {
		wrong.Add("page_token", "not a next_page_token of ListModels")
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	q.After, q.Limit = string(after), size+1
	resp := new(flywheelv1.ListModelsResponse)
	err = s.call(ctx, func(ctx context.Context, tenant string) (err error) {
		resp.Models, err = Models(ctx, s.db, tenant, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(resp.GetModels()) > size {
		resp.Models = resp.GetModels()[:size]
		resp.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(resp.GetModels()[size-1].GetModel()))
	}
	return resp, nil
}

// UpdateModel implements [flywheelv1.ModelServiceServer].
func (s *Service) UpdateModel(ctx context.Context, req *flywheelv1.UpdateModelRequest) (*flywheelv1.UpdateModelResponse, error) {
	if req.Stage == nil && req.Notes == nil && req.Parent == nil && req.TrainingSetId == nil {
		return nil, rpc.Violations{rpc.Violation("stage", "nothing to change: set stage, notes, parent or training_set_id")}.Err()
	}
	resp := new(flywheelv1.UpdateModelResponse)
	err := s.write(ctx, func(ctx context.Context, tenant string) error {
		m, err := s.registered(ctx, tenant, req.GetModel())
		if err != nil {
			return err
		}
		if req.GetRevision() != 0 && req.GetRevision() != m.GetRevision() {
			return status.Errorf(codes.Aborted, "the model %q has revision %d, not %d: read it again and repeat the change",
				m.GetModel(), m.GetRevision(), req.GetRevision())
		}
		change(m, req)
		if err := checkModel(m).Err(); err != nil {
			return err
		}
		if req.Parent != nil {
			if err := s.checkParent(ctx, tenant, m); err != nil {
				return err
			}
		}
		resp.Model = m
		return s.storeModel(ctx, tenant, m)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// change makes the changes of a request.
func change(m *flywheelv1.Model, req *flywheelv1.UpdateModelRequest) {
	if req.Stage != nil {
		m.Stage = req.GetStage()
	}
	if req.Notes != nil {
		m.Notes = req.GetNotes()
	}
	if req.Parent != nil {
		m.Parent = req.GetParent()
	}
	if req.TrainingSetId != nil {
		m.TrainingSetId = req.GetTrainingSetId()
	}
	m.Revision++
	m.UpdatedAt = now()
}

// GetModelLineage implements [flywheelv1.ModelServiceServer].
func (s *Service) GetModelLineage(ctx context.Context, req *flywheelv1.GetModelLineageRequest) (*flywheelv1.GetModelLineageResponse, error) {
	resp := new(flywheelv1.GetModelLineageResponse)
	err := s.call(ctx, func(ctx context.Context, tenant string) (err error) {
		if _, err = s.registered(ctx, tenant, req.GetModel()); err != nil {
			return err
		}
		resp.Models, err = lineage(ctx, s.db, tenant, req.GetModel())
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// registered reads a model that has to be there.
func (s *Service) registered(ctx context.Context, tenant, name string) (*flywheelv1.Model, error) {
	if err := checkName(name).Err(); err != nil {
		return nil, err
	}
	m, err := model(ctx, s.db, tenant, name)
	if err == nil && m == nil {
		err = status.Errorf(codes.NotFound, "the model %q is not registered: CreateModel registers it", name)
	}
	return m, err
}

// checkParent refuses a parent that is not registered or that descends from the model.
func (s *Service) checkParent(ctx context.Context, tenant string, m *flywheelv1.Model) error {
	parent := m.GetParent()
	if parent == "" {
		return nil
	}
	if parent == m.GetModel() {
		return status.Errorf(codes.FailedPrecondition, "the model %q cannot be its own parent", parent)
	}
	line, err := lineage(ctx, s.db, tenant, parent)
	if err != nil {
		return err
	}
	switch {
	case len(line) == 0:
		return status.Errorf(codes.FailedPrecondition, "the parent %q is not registered: register it first, or leave the parent empty", parent)
	case len(line) == maxLineage:
		return status.Errorf(codes.FailedPrecondition, "the parent %q has %d ancestors: no more are possible", parent, maxLineage-1)
	}
	path := []string{m.GetModel()}
	for _, ancestor := range line {
		path = append(path, ancestor.GetModel())
		if ancestor.GetModel() == m.GetModel() {
			return status.Errorf(codes.FailedPrecondition, "the parent %q descends from the model %q (%s): choose one that does not",
				parent, m.GetModel(), strings.Join(path, " ← "))
		}
	}
	return nil
}

// checkName returns what is wrong with the name of a model.
func checkName(name string) (wrong rpc.Violations) {
	if name == "" {
		wrong.Add("model", "missing: the model's name as in the dimensions of its events is needed")
	}
	checkLength(&wrong, "model", name, maxNameBytes)
	return wrong
}

// checkModel returns what is wrong with what a model says.
func checkModel(m *flywheelv1.Model) rpc.Violations {
	wrong := checkName(m.GetModel())
	checkLength(&wrong, "parent", m.GetParent(), maxNameBytes)
	checkLength(&wrong, "training_set_id", m.GetTrainingSetId(), maxNameBytes)
	checkStage(&wrong, "stage", m.GetStage())
	checkLength(&wrong, "notes", m.GetNotes(), maxNotesBytes)
	return wrong
}

func checkLength(wrong *rpc.Violations, field, text string, limit int) {
	if len(text) > limit {
		wrong.Add(field, "%d bytes: at most %d are possible", len(text), limit)
	}
}

func checkStage(wrong *rpc.Violations, field string, stage flywheelv1.ModelStage) {
	if _, known := flywheelv1.ModelStage_name[int32(stage)]; !known || stage == flywheelv1.ModelStage_MODEL_STAGE_UNSPECIFIED {
		wrong.Add(field, "%d is not a stage", stage)
	}
}

// checkPageSize returns how many of a list to return.
func checkPageSize(wrong *rpc.Violations, size int32) int {
	switch {
	case size < 0 || size > maxPageSize:
		wrong.Add("page_size", "%d: 1 to %d is possible, 0 stands for %d", size, maxPageSize, defaultPageSize)
	case size == 0:
		return defaultPageSize
	}
	return int(size)
}

// now is the time in the precision in which it is stored.
func now() *timestamppb.Timestamp { return timestamppb.New(time.Now().Truncate(time.Millisecond)) }
