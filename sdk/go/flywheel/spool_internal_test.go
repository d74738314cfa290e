package flywheel

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzParseSpooled: no content of a file makes the client panic, and what is taken for
// a batch is one that was written.
func FuzzParseSpooled(f *testing.F) {
	id := ID{1: 7, 15: 9}
	whole := newBatch(id, 0, 2, []byte{0x12, 0}, []byte{0x12, 0})
	content := spooledContent(whole)
	f.Add(content)
	f.Add(content[:len(content)-1])
	f.Add([]byte(spoolMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		data, err := parseSpooled(content, id, 2)
		if err != nil {
			return
		}
		if again := spooledContent(&batch{id: id, events: 2, data: data}); !bytes.Equal(again, content) {
			t.Errorf("%x was taken for %x", content, again)
		}
	})
}

// TestParseSpooled changes each byte of a file in turn.
func TestParseSpooled(t *testing.T) {
	t.Parallel()
	b := newBatch(ID{1: 7}, 0, 1, []byte{0x12, 3, 1, 2, 3})
	content := spooledContent(b)
	if data, err := parseSpooled(content, b.id, b.events); err != nil || !bytes.Equal(data, b.data) {
		t.Fatalf("the batch is read as %x, %v", data, err)
	}
	for i := range content {
		changed := bytes.Clone(content)
		changed[i] ^= 0x20
		if _, err := parseSpooled(changed, b.id, b.events); err == nil {
			t.Errorf("a change of byte %d is not seen", i)
		}
		if _, err := parseSpooled(content[:i], b.id, b.events); err == nil {
			t.Errorf("a file cut at byte %d is taken", i)
		}
	}
	if _, err := parseSpooled(content, ID{1: 8}, 1); err == nil {
		t.Error("the batch is taken for one with another id")
	}
	if binary.BigEndian.Uint32(content[len(spoolMagic)+4:]) != 1 {
		t.Error("the number of events is not where the format says")
	}
}

func TestParseSpoolName(t *testing.T) {
	t.Parallel()
	b := &batch{id: ID{0: 1, 15: 255}, events: 12}
	if id, events, err := parseSpoolName(spoolName(b)); id != b.id || events != b.events || err != nil {
		t.Errorf("%s is read as %v, %d, %v", spoolName(b), id, events, err)
	}
	for _, name := range []string{"", ".batch", "01-1.batch", "x" + spoolName(b)[1:], spoolName(&batch{}), spoolName(&batch{events: maxBatchEvents + 1}), "-.batch"} {
		if _, _, err := parseSpoolName(name); err == nil {
			t.Errorf("%q is taken for the name of a batch", name)
		}
	}
}
