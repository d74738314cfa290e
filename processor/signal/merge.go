package signal

import (
	"cmp"
	"encoding/binary"

	"github.com/google/uuid"
)

// raise keeps the larger value, as ClickHouse's max does. Strings compare by bytes in
// both.
func raise[T cmp.Ordered](kept *T, value T) {
	if value > *kept {
		*kept = value
	}
}

// raiseID keeps the larger id in the order of ClickHouse, which compares the second
// half of a UUID first.
func raiseID(kept *uuid.UUID, id uuid.UUID) {
	if *kept == id {
		return
	}
	had, has := binary.BigEndian.Uint64(kept[8:]), binary.BigEndian.Uint64(id[8:])
	if has > had || has == had && binary.BigEndian.Uint64(id[:8]) > binary.BigEndian.Uint64(kept[:8]) {
		*kept = id
	}
}

// raiseFloat keeps the larger number; nil is none and less than any. Zeroes have no
// sign in the result, so that it does not depend on the order.
func raiseFloat(kept **float32, value *float32) {
	if value == nil || *kept != nil && **kept >= *value {
		return
	}
	number := *value + 0
	*kept = &number
}

// micros is a duration in microseconds; a negative one was not measured.
func micros(us int64) uint64 { return uint64(max(us, 0)) }

// latest packs a value with its time so that the largest number is the latest value,
// and of one time the largest value.
func latest(at int64, value uint8) uint64 { return uint64(at)<<8 | uint64(value) }
