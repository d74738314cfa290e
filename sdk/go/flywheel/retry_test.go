package flywheel_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	flywheelv1 "github.com/yirifi/flywheel/gen/flywheel/v1"
	"github.com/yirifi/flywheel/sdk/go/flywheel"
)

// refused answers that a batch as a whole was refused.
func refused(req *flywheelv1.CollectStreamRequest, code codes.Code, retryAfter time.Duration) reply {
	answer := &flywheelv1.CollectStreamResponse{
		BatchId: req.GetBatchId(), Error: &flywheelv1.BatchError{Code: int32(code), Message: "no"},
	}
	if retryAfter > 0 {
		answer.RetryAfter = durationpb.New(retryAfter)
	}
	return reply{answer: answer}
}

// withRetryInfo is a status with RetryInfo.
func withRetryInfo(t *testing.T, code codes.Code, after time.Duration) error {
	t.Helper()
	st, err := status.New(code, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	if err != nil {
		t.Fatalf("WithDetails: %v", err)
	}
	return st.Err()
}

// mishap is a way in which a batch stays without an acknowledgement, and when it is to
// be sent again.
type mishap struct {
	first            func(t *testing.T, req *flywheelv1.CollectStreamRequest) reply
	earliest, latest time.Duration
}

func mishaps() map[string]mishap {
	return map[string]mishap{
		"unavailable": {
			first: func(_ *testing.T, req *flywheelv1.CollectStreamRequest) reply {
				return refused(req, codes.Unavailable, 0)
			},
			latest: 100 * time.Millisecond,
		},
		"unavailable, retry after": {
			first: func(_ *testing.T, req *flywheelv1.CollectStreamRequest) reply {
				return refused(req, codes.Unavailable, 7*time.Second)
			},
			earliest: 7 * time.Second, latest: 8 * time.Second,
		},
		"log full, retry after": {
			first: func(_ *testing.T, req *flywheelv1.CollectStreamRequest) reply {
				return refused(req, codes.ResourceExhausted, 20*time.Second)
			},
			earliest: 20 * time.Second, latest: 21 * time.Second,
		},
		"stream fails": {
			first: func(*testing.T, *flywheelv1.CollectStreamRequest) reply {
				return reply{err: status.Error(codes.Unavailable, "going away")}
			},
			latest: 100 * time.Millisecond,
		},
		"stream ends": {
			first:  func(*testing.T, *flywheelv1.CollectStreamRequest) reply { return reply{end: true} },
			latest: 100 * time.Millisecond,
		},
		"stream fails with RetryInfo": {
			first: func(t *testing.T, _ *flywheelv1.CollectStreamRequest) reply {
				return reply{err: withRetryInfo(t, codes.ResourceExhausted, 9*time.Second)}
			},
			earliest: 9 * time.Second, latest: 10 * time.Second,
		},
		"not authenticated": {
			first: func(*testing.T, *flywheelv1.CollectStreamRequest) reply {
				return reply{err: status.Error(codes.Unauthenticated, "who are you")}
			},
			latest: 100 * time.Millisecond,
		},
		"no answer": {
			first:    func(*testing.T, *flywheelv1.CollectStreamRequest) reply { return reply{silent: true} },
			earliest: 30 * time.Second, latest: 31 * time.Second,
		},
		"answer to another batch": {
			first: func(*testing.T, *flywheelv1.CollectStreamRequest) reply {
				return reply{answer: &flywheelv1.CollectStreamResponse{BatchId: []byte("0123456789abcdef")}}
			},
			latest: 100 * time.Millisecond,
		},
	}
}

// TestRetryRepeatsTheBatch checks, for each way in which a batch can stay without an
// acknowledgement, that it is sent again with the same id and bytes, not before the
// given time, and then counts once.
func TestRetryRepeatsTheBatch(t *testing.T) {
	t.Parallel()
	for name, test := range mishaps() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t, func(n int, req *flywheelv1.CollectStreamRequest) reply {
					if n == 0 {
						return test.first(t, req)
					}
					return take(req)
				})
				client := dial(t, f)
				selections(client.Session(flywheel.SessionInfo{}), 0, 10)
				pass(time.Minute)
				got := f.got()
				if len(got) != 2 {
					t.Fatalf("batches: %v, want two", got)
				}
				if got[0].id != got[1].id || !bytes.Equal(got[0].raw, got[1].raw) {
					t.Errorf("the retry differs: %v", got)
				}
				if waited := got[1].at.Sub(got[0].at); waited < test.earliest || waited > test.latest {
					t.Errorf("sent again after %s, want %s to %s", waited, test.earliest, test.latest)
				}
				check(t, client, flywheel.Stats{Sent: 11, Accepted: 11, Retries: 1})
			})
		})
	}
}

// TestReconnectInTheMidst cuts the connection again and again while batches are under
// way: nothing is lost, and what is sent again is the same.
func TestReconnectInTheMidst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events = 2000
		f := newFake(t, func(n int, req *flywheelv1.CollectStreamRequest) reply {
			switch n % 7 {
			case 3:
				return reply{err: status.Error(codes.Unavailable, "cut")}
			case 5:
				return reply{silent: true}
			}
			return take(req)
		})
		client := dial(t, f, flywheel.WithBatch(20, 1<<20, time.Second))
		selections(client.Session(flywheel.SessionInfo{}), 0, events)
		flush(t, client)
		raw := map[string][]byte{}
		arrived := map[int]bool{}
		for _, b := range f.got() {
			if before, ok := raw[b.id]; ok && !bytes.Equal(before, b.raw) {
				t.Fatalf("batch %x was sent again with other bytes", b.id)
			}
			raw[b.id] = b.raw
			for _, n := range numbers(b.events) {
				arrived[n] = true
			}
		}
		if len(arrived) != events {
			t.Errorf("%d events arrived, want %d", len(arrived), events)
		}
		stats := client.Stats()
		if stats.Retries == 0 || f.streams < 3 {
			t.Errorf("%d retries on %d streams: the connection was not cut", stats.Retries, f.streams)
		}
		stats.Retries = 0
		if want := (flywheel.Stats{Sent: events + 1, Accepted: events + 1}); stats != want {
			t.Errorf("Stats:\n got %+v\nwant %+v", stats, want)
		}
	})
}

// TestServerComesLater: what was emitted while there was no collector arrives.
func TestServerComesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logs
		f := newFake(t, nil)
		f.stop()
		client := dial(t, f, log.option())
		selections(client.Session(flywheel.SessionInfo{}), 0, 10)
		pass(10 * time.Minute)
		if got := strings.Count(log.String(), "events wait for the collector"); got < 2 || got > 11 {
			t.Errorf("%d warnings in ten minutes, want about one a minute:\n%s", got, log.String())
		}
		f.start()
		pass(30 * time.Second)
		check(t, client, flywheel.Stats{Sent: 11, Accepted: 11})
	})
}

// TestBackoffIsBounded counts the attempts in an hour of refusals.
func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, func(_ int, req *flywheelv1.CollectStreamRequest) reply {
			return refused(req, codes.Unavailable, 0)
		})
		client := dial(t, f, flywheel.WithBatch(1, 1<<20, time.Second))
		selections(client.Session(flywheel.SessionInfo{}), 0, 99)
		pass(time.Hour)
		// Waits are 5 s in the mean; each attempt sends what may be under way.
		if got := len(f.got()); got < 8*500 || got > 8*1200 {
			t.Errorf("%d batches in an hour", got)
		}
	})
}

// TestOnlyRetryableEventsAreSentAgain: of a batch that was taken in part, the events
// marked retryable are sent again when the collector says, those refused are counted
// and logged once.
func TestOnlyRetryableEventsAreSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const full, wrong = flywheelv1.RejectReason_REJECT_REASON_LOG_FULL, flywheelv1.RejectReason_REJECT_REASON_UNKNOWN_ENUM
		f := newFake(t, func(n int, req *flywheelv1.CollectStreamRequest) reply {
			if n > 0 {
				return take(req)
			}
			return reply{answer: &flywheelv1.CollectStreamResponse{
				BatchId: req.GetBatchId(), Accepted: 6, RetryAfter: durationpb.New(4 * time.Second),
				Rejected: []*flywheelv1.RejectedEvent{
					{Index: 1, Reason: full, Retryable: true}, {Index: 3, Reason: wrong, Field: "shown.surface", Message: "what?"},
					{Index: 4, Reason: wrong, Field: "shown.surface", Message: "what?"}, {Index: 7, Reason: full, Retryable: true},
					{Index: 7, Reason: full, Retryable: true}, {Index: 4711, Reason: wrong},
				},
			}}
		})
		var log logs
		client := dial(t, f, log.option())
		s := client.Session(flywheel.SessionInfo{})
		flushed := make(chan error, 1)
		selections(s, 1, 9)
		go func() { flushed <- client.Flush(t.Context()) }()
		pass(3 * time.Second)
		check(t, client, flywheel.Stats{Queued: 2, Sent: 10, Accepted: 6, Rejected: 2})
		select {
		case err := <-flushed:
			t.Fatalf("Flush returned %v with two events in the queue", err)
		default:
		}
		if err := <-flushed; err != nil {
			t.Fatalf("Flush: %v", err)
		}
		check(t, client, flywheel.Stats{Sent: 10, Accepted: 8, Rejected: 2, Retries: 1})
		got := f.got()
		if len(got) != 2 || !slices.Equal(numbers(got[1].events), []int{1, 7}) || got[0].id == got[1].id {
			t.Fatalf("batches: %v, want 1 and 7 again under another id", got)
		}
		if waited := got[1].at.Sub(got[0].at); waited < 4*time.Second || waited > 5*time.Second {
			t.Errorf("sent again after %s, want 4 s", waited)
		}
		if n := strings.Count(log.String(), "rejects"); n != 1 || !strings.Contains(log.String(), "field=shown.surface") {
			t.Errorf("%d warnings, want one:\n%s", n, log.String())
		}
	})
}

// TestPoison checks that one event that the collector cannot take, however it shows,
// does not take the others along.
func TestPoison(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func(req *flywheelv1.CollectStreamRequest) reply{
		"refused batch": func(req *flywheelv1.CollectStreamRequest) reply {
			return refused(req, codes.InvalidArgument, 0)
		},
		"too large, by the transport": func(*flywheelv1.CollectStreamRequest) reply {
			return reply{err: status.Error(codes.ResourceExhausted, "received message larger than max")}
		},
		"crash": func(*flywheelv1.CollectStreamRequest) reply {
			return reply{err: status.Error(codes.Internal, "panic")}
		},
		"crash, answered": func(req *flywheelv1.CollectStreamRequest) reply {
			return refused(req, codes.Internal, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const events, poison = 400, 123
				f := newFake(t, func(_ int, req *flywheelv1.CollectStreamRequest) reply {
					if slices.Contains(numbers(req.GetEvents()), poison) {
						return bad(req)
					}
					return take(req)
				})
				client := dial(t, f, flywheel.WithBatch(50, 1<<20, time.Second))
				selections(client.Session(flywheel.SessionInfo{}), 0, events)
				flush(t, client)
				stats := client.Stats()
				if stats.Accepted != events || stats.Rejected != 1 || stats.Queued+stats.Dropped != 0 {
					t.Errorf("Stats: %+v, want %d accepted and one rejected", stats, events)
				}
				if waited := time.Since(f.got()[0].at); waited > 10*time.Minute {
					t.Errorf("it took %s to find the bad event", waited)
				}
			})
		})
	}
}
