package registry

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/processor/signal"
)

// ListDefinitions implements [flywheelv1.DefinitionServiceServer].
func (s *Service) ListDefinitions(ctx context.Context, _ *flywheelv1.ListDefinitionsRequest) (*flywheelv1.ListDefinitionsResponse, error) {
	resp := new(flywheelv1.ListDefinitionsResponse)
	err := s.call(ctx, func(ctx context.Context, _ string) error {
		all, err := Definitions(ctx, s.db)
		for _, d := range all {
			resp.Definitions = append(resp.Definitions, definitionProto(d))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// CreateDefinition implements [flywheelv1.DefinitionServiceServer].
func (s *Service) CreateDefinition(ctx context.Context, req *flywheelv1.CreateDefinitionRequest) (*flywheelv1.CreateDefinitionResponse, error) {
	d, wrong := newDefinition(req.GetDefinition())
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	resp := new(flywheelv1.CreateDefinitionResponse)
	err := s.write(ctx, func(ctx context.Context, _ string) error {
		stored, err := s.addDefinition(ctx, d)
		resp.Definition = definitionProto(stored)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// addDefinition stores a definition, with the next number if it has none, and returns
// it as stored.
func (s *Service) addDefinition(ctx context.Context, d signal.Definition) (signal.Definition, error) {
	all, err := Definitions(ctx, s.db)
	if err != nil {
		return d, err
	}
	if d.Version == 0 {
		d.Version = nextVersion(all, d)
	}
	if !slices.ContainsFunc(all, versionIs(d.Version)) && len(all) >= maxDefinitions {
		return d, status.Errorf(codes.ResourceExhausted, "there are %d definitions: no more are possible", len(all))
	}
	err = AddDefinition(ctx, s.db, d)
	if errors.Is(err, ErrExists) {
		return d, status.Error(codes.AlreadyExists, err.Error())
	}
	if err != nil {
		return d, err
	}
	if all, err = Definitions(ctx, s.db); err != nil {
		return d, err
	}
	return all[slices.IndexFunc(all, versionIs(d.Version))], nil
}

// nextVersion is the version of the definition that says the same, or else the number
// after the last.
func nextVersion(all []signal.Definition, d signal.Definition) uint32 {
	var last uint32
	for _, there := range all {
		last = there.Version
		d.Version, d.CreatedAt = there.Version, there.CreatedAt
		if d == there {
			return last
		}
	}
	return last + 1
}

func versionIs(version uint32) func(signal.Definition) bool {
	return func(d signal.Definition) bool { return d.Version == version }
}

// CompareDefinitions implements [flywheelv1.DefinitionServiceServer].
func (s *Service) CompareDefinitions(ctx context.Context, req *flywheelv1.CompareDefinitionsRequest) (*flywheelv1.CompareDefinitionsResponse, error) {
	c, wrong := newComparison(req)
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	var found []pair
	err := s.call(ctx, func(ctx context.Context, tenant string) error {
		all, err := Definitions(ctx, s.db)
		if err != nil {
			return err
		}
		for _, version := range []uint32{c.a, c.b} {
			if !slices.ContainsFunc(all, versionIs(version)) {
				return status.Errorf(codes.NotFound, "there is no definition %d: ListDefinitions lists those there are", version)
			}
		}
		found, err = c.run(ctx, s.db.Conn(), tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(found) > maxPairs {
		return nil, status.Error(codes.ResourceExhausted, "there are too many models: filter by model")
	}
	return compared(found), nil
}
