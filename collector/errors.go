package collector

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
)

// errorDomain names Flywheel in google.rpc.ErrorInfo.
const errorDomain = "flywheel"

// refusal is why a batch as a whole was refused: none of its events counts as
// durable. Collect returns it as a status, CollectStream answers with it.
type refusal struct {
	code    codes.Code
	field   string // of the request, for INVALID_ARGUMENT
	message string
	// retryAfter says that the same batch may succeed later. 0: it cannot.
	retryAfter time.Duration
}

// logFull refuses a batch for all of whose events the log has no room.
func logFull(retryAfter time.Duration) *refusal {
	return &refusal{
		code:       codes.ResourceExhausted,
		message:    "the log is full: send the batch again later, unchanged",
		retryAfter: retryAfter,
	}
}

// unavailable refuses a batch that the log may or may not have stored.
func unavailable(retryAfter time.Duration) *refusal {
	return &refusal{
		code:       codes.Unavailable,
		message:    "the log did not confirm the batch: send it again, unchanged; a duplicate does no harm",
		retryAfter: retryAfter,
	}
}

// gone is the refusal of a batch whose call ended before the log answered.
func gone(ctx context.Context) *refusal {
	st := status.FromContextError(ctx.Err())
	return &refusal{code: st.Code(), message: st.Message()}
}

// Reasons of refusals, as clients are told them.
const (
	invalidBatch   = "INVALID_BATCH"
	fullLog        = "LOG_FULL"
	unavailableLog = "LOG_UNAVAILABLE"
)

// reason is the ErrorInfo.reason of the refusal.
func (r *refusal) reason() string {
	switch r.code {
	case codes.InvalidArgument:
		return invalidBatch
	case codes.ResourceExhausted:
		return fullLog
	default:
		return unavailableLog
	}
}

// statusError is the refusal as a gRPC status with ErrorInfo, and BadRequest or
// RetryInfo.
func (r *refusal) statusError() error {
	st := status.New(r.code, r.message)
	if r.code == codes.Canceled || r.code == codes.DeadlineExceeded {
		return st.Err()
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: r.reason(), Domain: errorDomain}}
	if r.code == codes.InvalidArgument {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: r.field, Description: r.message},
		}})
	}
	if r.retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(r.retryAfter)})
	}
	detailed, err := st.WithDetails(details...)
	if err != nil {
		return fmt.Errorf("attach details to %w", st.Err())
	}
	return detailed.Err()
}

// streamResponse is the refusal as the answer of a stream.
func (r *refusal) streamResponse(batchID []byte) *flywheelv1.CollectStreamResponse {
	answer := &flywheelv1.CollectStreamResponse{
		BatchId: batchID,
		Error:   &flywheelv1.BatchError{Code: int32(r.code), Message: r.message},
	}
	if r.retryAfter > 0 {
		answer.RetryAfter = durationpb.New(r.retryAfter)
	}
	return answer
}
