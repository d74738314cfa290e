package collector

import "encoding/binary"

// The wire types of protobuf that the contract uses. Groups (3 and 4) are an
// older encoding of messages that no proto3 encoder writes; they are refused.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// maxFieldNumber is the largest field number of protobuf.
const maxFieldNumber = 1<<29 - 1

// The functions below read what begins at b[i] and return the index of what comes
// after it, 0 when b ends within it or it is not well formed.

// varint reads a varint.
func varint(b []byte, i int) (v uint64, next int) {
	v, n := binary.Uvarint(b[i:])
	if n <= 0 {
		return 0, 0
	}
	return v, i + n
}

// tag reads a field number and a wire type.
func tag(b []byte, i int) (number uint64, wire uint8, next int) {
	key, next := varint(b, i)
	number = key >> 3
	if number == 0 || number > maxFieldNumber {
		return 0, 0, 0
	}
	return number, uint8(key & 7), next
}

// delimited reads a length-delimited value.
func delimited(b []byte, i int) (value []byte, next int) {
	size, start := varint(b, i)
	if start == 0 || size > uint64(len(b)-start) {
		return nil, 0
	}
	next = start + int(size)
	return b[start:next:next], next
}

// skip reads a value of the given wire type.
func skip(b []byte, i int, wire uint8) (next int) {
	switch wire {
	case wireVarint:
		_, next = varint(b, i)
	case wireBytes:
		_, next = delimited(b, i)
	case wireFixed32:
		next = i + 4
	case wireFixed64:
		next = i + 8
	}
	if next > len(b) {
		return 0
	}
	return next
}
