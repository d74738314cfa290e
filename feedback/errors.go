package feedback

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type (
	// violations are what is wrong with a request, by field.
	violations     []*fieldViolation
	fieldViolation = errdetails.BadRequest_FieldViolation
)

func violation(field, format string, args ...any) *fieldViolation {
	return &fieldViolation{Field: field, Description: fmt.Sprintf(format, args...)}
}

// err returns an INVALID_ARGUMENT status with all violations as its details, or nil
// if there are none.
func (v violations) err() error {
	if len(v) == 0 {
		return nil
	}
	message := fmt.Sprintf("%s: %s", v[0].GetField(), v[0].GetDescription())
	if len(v) > 1 {
		message = fmt.Sprintf("%s (and %d more, see the details)", message, len(v)-1)
	}
	st, err := status.New(codes.InvalidArgument, message).WithDetails(&errdetails.BadRequest{FieldViolations: v})
	if err != nil {
		return status.Error(codes.InvalidArgument, message)
	}
	return st.Err()
}

func tooManyRows(limit int) error {
	return status.Errorf(codes.ResourceExhausted,
		"the answer has more than %d rows: shorten the time range, widen the buckets, group by fewer dimensions or filter", limit)
}

// failed returns the status of a query that ended with err: call is the context of
// the call, bounded the one with the query's time limit. What the client cannot
// know of is logged and not returned.
func (f *Feedback) failed(call, bounded context.Context, err error) error {
	switch {
	case call.Err() != nil:
		return status.FromContextError(call.Err()).Err()
	case bounded.Err() != nil:
		return status.Errorf(codes.DeadlineExceeded, "the query took longer than %s: shorten the time range or filter", f.cfg.QueryTimeout)
	}
	f.log.ErrorContext(call, "cannot read rates", slog.Any("error", err))
	return status.Error(codes.Unavailable, "the rates cannot be read at the moment: try again")
}
