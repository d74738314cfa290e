package registry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// Service is the registry of models, with their evaluations, and of definitions. Its
// methods may run concurrently. The writes of one process are checked and made one after
// the other; those of two processes at the same moment are not: of a model the higher
// revision wins, of two definitions with one version the later.
type Service struct {
	flywheelv1.UnimplementedModelServiceServer
	flywheelv1.UnimplementedDefinitionServiceServer

	cfg Config
	db  *warehouse.DB
	log *slog.Logger
	// writing is held from the check of a write to its end.
	writing sync.Mutex
}

// New returns a registry in db, which it does not own.
func New(cfg Config, db *warehouse.DB, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure registry: %w", err)
	}
	return &Service{cfg: cfg, db: db, log: log}, nil
}

// Register adds the registry's two services to a server.
func (s *Service) Register(srv grpc.ServiceRegistrar) {
	flywheelv1.RegisterModelServiceServer(srv, s)
	flywheelv1.RegisterDefinitionServiceServer(srv, s)
}

// call does the work of a call for its tenant and within the time limit. Its errors are
// gRPC statuses: what the client cannot know of is logged and not returned.
func (s *Service) call(ctx context.Context, work func(ctx context.Context, tenant string) error) error {
	tenant, err := rpc.Tenant(ctx)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, s.cfg.QueryTimeout)
	defer cancel()
	err = work(bounded, tenant)
	if _, ours := status.FromError(err); ours {
		return err
	}
	if cut := rpc.CutShort(ctx, bounded, s.cfg.QueryTimeout); cut != nil {
		return cut
	}
	s.log.ErrorContext(ctx, "cannot use the registry", slog.Any("error", err))
	return status.Error(codes.Unavailable, "the registry cannot be read or written at the moment: try again")
}

// write is call for work that changes the registry.
func (s *Service) write(ctx context.Context, work func(ctx context.Context, tenant string) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.call(ctx, work)
}
