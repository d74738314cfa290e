package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type (
	// Violations are what is wrong with a request, by field.
	Violations []*FieldViolation
	// FieldViolation is what is wrong with one field.
	FieldViolation = errdetails.BadRequest_FieldViolation
)

// Violation returns what is wrong with a field, for people to read.
func Violation(field, format string, args ...any) *FieldViolation {
	return &FieldViolation{Field: field, Description: fmt.Sprintf(format, args...)}
}

// Add adds what is wrong with a field.
func (v *Violations) Add(field, format string, args ...any) {
	*v = append(*v, Violation(field, format, args...))
}

// Err returns an INVALID_ARGUMENT status with all violations as its details, or nil
// if there are none.
func (v Violations) Err() error {
	if len(v) == 0 {
		return nil
	}
	message := fmt.Sprintf("%s: %s", v[0].GetField(), v[0].GetDescription())
	if len(v) > 1 {
		message = fmt.Sprintf("%s (and %d more, see the details)", message, len(v)-1)
	}
	return invalid(message, v)
}

// invalid returns an INVALID_ARGUMENT status with violations as its details.
func invalid(message string, v Violations) error {
	st, err := status.New(codes.InvalidArgument, message).WithDetails(&errdetails.BadRequest{FieldViolations: v})
	if err != nil {
		return status.Error(codes.InvalidArgument, message)
	}
	return st.Err()
}

// CutShort returns the status of a call that its client ended, or that took longer than
// limit, the time limit of the context bounded; nil when neither happened.
func CutShort(call, bounded context.Context, limit time.Duration) error {
	switch {
	case call.Err() != nil:
		return status.FromContextError(call.Err()).Err()
	case bounded.Err() != nil:
		return status.Errorf(codes.DeadlineExceeded, "the query took longer than %s: shorten the time range or filter", limit)
	}
	return nil
}
