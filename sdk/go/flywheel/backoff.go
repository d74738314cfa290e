package flywheel

import (
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	// maxRetryAfter is the longest wait that a collector is given.
	maxRetryAfter = 5 * time.Minute
	// maxCrashes is how often a collector may fail over a batch sent alone before the
	// batch is taken to be the reason.
	maxCrashes = 3
)

// jittered returns how long to wait after so many failures in a row: exponential with
// full jitter, see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
func jittered(failures int) time.Duration {
	ceiling := maxBackoff
	if shift := failures - 1; shift < 10 {
		ceiling = min(minBackoff<<max(shift, 0), maxBackoff)
	}
	return rand.N(ceiling)
}

// refusal is why a batch, or a stream, failed.
type refusal struct {
	code    codes.Code
	message string
	// retryAfter is how long the collector asked to wait. 0: it did not ask.
	retryAfter time.Duration
}

// refusalOf reads an error of a call.
func refusalOf(err error) refusal {
	st := status.Convert(err)
	r := refusal{code: st.Code(), message: st.Message()}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			r.retryAfter = min(max(info.GetRetryDelay().AsDuration(), 0), maxRetryAfter)
		}
	}
	return r
}

// verdict is what a refusal means for the batch that it is about.
type verdict int

const (
	// again: the same batch may succeed later.
	again verdict = iota
	// never: the batch is the reason.
	never
	// crash: the collector failed; perhaps the batch is the reason.
	crash
)

func (r refusal) verdict() verdict {
	switch r.code {
	case codes.InvalidArgument, codes.OutOfRange:
		return never
	case codes.ResourceExhausted:
		// With no time to try again the batch is too large.
		if r.retryAfter == 0 {
			return never
		}
		return again
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return crash
	default:
		return again
	}
}
