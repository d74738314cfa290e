package flywheel

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// ID is a UUIDv7 (RFC 9562) in 16 bytes, big endian. The zero ID means none. The time
// inside an opportunity's or interaction's id says where it counts: keep ids as they
// are when storing them.
type ID [16]byte

// String returns the canonical form, 36 characters in lower case.
func (id ID) String() string {
	var text [36]byte
	hex.Encode(text[:], id[:4])
	at := 8
	for _, part := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		text[at] = '-'
		at += 1 + hex.Encode(text[at+1:], part)
	}
	return string(text[:])
}

// IsZero says whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

// Time returns the time inside the id, to the millisecond.
func (id ID) Time() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

// ParseID reads what [ID.String] wrote. It is an error if that is not a UUIDv7.
func ParseID(text string) (ID, error) {
	var id ID
	digits := strings.ReplaceAll(text, "-", "")
	if len(text) != 36 || len(digits) != 2*len(id) {
		return ID{}, fmt.Errorf("parse id %q: not a UUID of 36 characters", text)
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, fmt.Errorf("parse id %q: %w", text, err)
	}
	if id[6]>>4 != 7 || id[8]>>6 != 2 {
		return ID{}, fmt.Errorf("parse id %q: not a UUIDv7", text)
	}
	return id, nil
}

// bytes returns the id for a message, nil for none.
func (id ID) bytes() []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}
