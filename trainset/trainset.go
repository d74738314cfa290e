// Package trainset makes training sets from the stored interactions: rows of prompts,
// completions, preferences and rewards, chosen once and frozen, so that they can be read
// again byte for byte. See DESIGN.md.
package trainset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/internal/rpc"
	"github.com/yirifi/flywheel/internal/warehouse"
)

// Config says how training sets are made.
type Config struct {
	// Concurrent is how many are made at once; others wait.
	Concurrent int
	// ChunkRows is about how many interactions one statement copies with their texts:
	// it bounds ClickHouse's memory.
	ChunkRows int
	// QueryTimeout bounds calls that only look something up.
	QueryTimeout time.Duration
	// TakeOver is after how long without news a training set that is being made is taken
	// for abandoned, by a server that died, and made again.
	TakeOver time.Duration
	// Version is Flywheel's, for the manifest.
	Version string
}

// DefaultConfig returns the settings unless told otherwise.
func DefaultConfig() Config {
	return Config{Concurrent: 2, ChunkRows: 500_000, QueryTimeout: 30 * time.Second, TakeOver: time.Minute, Version: "dev"}
}

// Validate returns everything that is wrong with the settings, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Concurrent < 1 || c.ChunkRows < 1 {
		errs = append(errs, errors.New("at least one training set at once and one row per statement are needed"))
	}
	if c.QueryTimeout <= 0 || c.TakeOver <= 0 {
		errs = append(errs, errors.New("the timeout of queries and the time to take over have to be positive"))
	}
	return errors.Join(errs...)
}

// Service makes training sets. Its methods may run concurrently.
type Service struct {
	flywheelv1.UnimplementedTrainingSetServiceServer

	cfg Config
	db  *warehouse.DB
	log *slog.Logger

	mu sync.Mutex
	// running are the training sets that this process makes.
	running map[uuid.UUID]context.CancelFunc
	// wake tells Run that there is something to do.
	wake chan struct{}
}

// New returns a service on db, which it does not own. Training sets are made while
// [Service.Run] runs.
func New(cfg Config, db *warehouse.DB, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure training sets: %w", err)
	}
	return &Service{cfg: cfg, db: db, log: log, running: map[uuid.UUID]context.CancelFunc{}, wake: make(chan struct{}, 1)}, nil
}

// Register adds the service to a server.
func (s *Service) Register(srv grpc.ServiceRegistrar) {
	flywheelv1.RegisterTrainingSetServiceServer(srv, s)
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
	return s.unavailable(ctx, err)
}

// unavailable logs what the client cannot know of.
func (s *Service) unavailable(ctx context.Context, err error) error {
	s.log.ErrorContext(ctx, "cannot use the training sets", slog.Any("error", err))
	return status.Error(codes.Unavailable, "the training sets cannot be read or written at the moment: try again")
}
