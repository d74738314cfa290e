package eventlog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrFull says that the log has no room: the lane has reached its size, the disk is
	// full, or trace gives way to outcome. The record is not confirmed, and a duplicate
	// of it does no harm. Trying again later can succeed.
	ErrFull = errors.New("event log is full")
	// ErrUnavailable says that the log did not confirm. Whether the record was
	// stored is unknown. Publishing it again is right: a duplicate does no harm.
	ErrUnavailable = errors.New("event log is unavailable")
	// ErrTooLarge says that a record exceeds [Log.MaxRecordBytes]. The record was not
	// stored, and trying again cannot succeed.
	ErrTooLarge = errors.New("record is too large for the event log")
	// ErrClosed says that the log, or the consumer, was closed. It is an
	// [ErrUnavailable].
	ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)
)

// Codes of the server's refusals that mean that there is no room
// (nats-server, server/errors.json).
const (
	accountResourcesExceeded jetstream.ErrorCode = 10002
	insufficientResources    jetstream.ErrorCode = 10023
	memoryExceeded           jetstream.ErrorCode = 10028
	storageExceeded          jetstream.ErrorCode = 10047
	storeFailed              jetstream.ErrorCode = 10077
)

// refusal turns the server's answer to a publish into an error of this package.
func refusal(err error) error {
	if noRoom(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return unavailable(err)
}

func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func noRoom(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return outOfSpace(err.Error())
	}
	switch api.ErrorCode {
	case accountResourcesExceeded, insufficientResources, memoryExceeded, storageExceeded:
		return true
	case storeFailed:
		return strings.Contains(api.Description, "maximum bytes exceeded") || outOfSpace(api.Description)
	default:
		return false
	}
}

// outOfSpace reports whether the text of an I/O error is ENOSPC's. The server
// passes on the text only.
func outOfSpace(text string) bool {
	return strings.Contains(text, "no space left")
}
