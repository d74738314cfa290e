package feedback

import (
	"context"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yirifi/flywheel/internal/rpc"
)

type (
	violations     = rpc.Violations
	fieldViolation = rpc.FieldViolation
)

func violation(field, format string, args ...any) *fieldViolation {
	return rpc.Violation(field, format, args...)
}

func tooManyRows(limit int) error {
	return status.Errorf(codes.ResourceExhausted,
		"the answer has more than %d rows: shorten the time range, widen the buckets, group by fewer dimensions or filter", limit)
}

// failed returns the status of a query that ended with err: call is the context of
// the call, bounded the one with the query's time limit. What the client cannot
// know of is logged and not returned.
func (f *Feedback) failed(call, bounded context.Context, err error) error {
	if cut := rpc.CutShort(call, bounded, f.cfg.QueryTimeout); cut != nil {
		return cut
	}
	f.log.ErrorContext(call, "cannot read rates", slog.Any("error", err))
	return status.Error(codes.Unavailable, "the rates cannot be read at the moment: try again")
}
