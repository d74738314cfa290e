package flywheel

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	// spoolMagic begins a spooled batch; its last byte is the version of the format.
	spoolMagic = "FWSPOOL\x01"
	// spoolHeader is the magic, the CRC-32C of the batch and its number of events, both
	// of 4 bytes, big endian.
	spoolHeader = len(spoolMagic) + 8

	batchSuffix     = ".batch"
	temporarySuffix = ".tmp"
	lockSuffix      = ".lock"
	corruptFolder   = "corrupt"
	// maxCorrupt is how many corrupt batches are kept to be looked at.
	maxCorrupt = 32
	// minSpoolBytes is the smallest bound of a spool: a batch of the largest size.
	minSpoolBytes = maxBatchBytes
)

var (
	errSpoolFull    = errors.New("the spool is full")
	errSpoolCorrupt = errors.New("the spooled batch is corrupt")
)

// spool keeps batches on disk until the collector has answered for them: one file a
// batch, in a folder of this client below one of its tenant. A lock beside the folder
// says that the client lives; the folders of dead clients are taken over. Only the
// goroutine of the exporter uses it, after openSpool.
type spool struct {
	root string // of the tenant
	dir  string // of this client
	lock *os.File
	// bytes are the sizes of the files, which max bounds when one is added.
	bytes, max int64
	// aside counts the files that were set aside.
	aside *atomic.Uint64
}

// openSpool makes the client's folder and takes over what dead clients of the same
// tenant left, oldest first.
func openSpool(dir, tenant string, maxBytes int64, aside *atomic.Uint64) (*spool, []*batch, error) {
	if tenant == "" {
		tenant = "default"
	}
	s := &spool{root: filepath.Join(dir, tenant), max: maxBytes, aside: aside}
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make spool folder: %w", err)
	}
	name := make([]byte, 8)
	_, _ = rand.Read(name) // never fails
	s.dir = filepath.Join(s.root, hex.EncodeToString(name))
	// The lock comes first: a folder without a held lock is that of a dead client.
	lock, err := lockFile(s.dir + lockSuffix)
	if err != nil {
		return nil, nil, fmt.Errorf("lock spool: %w", err)
	}
	s.lock = lock
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		s.close()
		return nil, nil, fmt.Errorf("make spool folder: %w", err)
	}
	return s, s.adopt(), nil
}

// adopt moves the batches of dead clients into this client's folder. What cannot be
// moved stays for the next client.
func (s *spool) adopt() []*batch {
	entries, _ := os.ReadDir(s.root)
	var found []string
	for _, entry := range entries {
		other := filepath.Join(s.root, entry.Name())
		if !entry.IsDir() || other == s.dir || entry.Name() == corruptFolder {
			continue
		}
		lock, err := lockFile(other + lockSuffix)
		if err != nil {
			continue // it lives
		}
		found = append(found, s.move(other)...)
		emptied := os.Remove(other) == nil // not while it has files
		unlockFile(lock)
		if emptied {
			_ = os.Remove(lock.Name())
		}
	}
	slices.SortFunc(found, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	var batches []*batch
	for _, file := range found {
		if b := s.entry(file); b != nil {
			b.order = uint64(len(batches))
			batches = append(batches, b)
		}
	}
	return batches
}

// move takes the batches of a folder over, and removes what was not written whole.
func (s *spool) move(from string) (moved []string) {
	entries, _ := os.ReadDir(from)
	for _, entry := range entries {
		path := filepath.Join(from, entry.Name())
		if !strings.HasSuffix(entry.Name(), batchSuffix) {
			_ = os.Remove(path)
			continue
		}
		to := filepath.Join(s.dir, entry.Name())
		if os.Rename(path, to) == nil {
			moved = append(moved, to)
		}
	}
	return moved
}

// entry is the batch of a file, without its bytes; nil when the file is set aside
// because its name is none of a batch.
func (s *spool) entry(file string) *batch {
	info, err := os.Stat(file)
	if err != nil {
		return nil
	}
	s.bytes += info.Size()
	b := &batch{file: file, spooled: true, size: int(info.Size()) - spoolHeader - headBytes}
	if b.id, b.events, err = parseSpoolName(filepath.Base(file)); err != nil || b.size <= 0 {
		s.setAside(b)
		return nil
	}
	return b
}

// spoolName is a file's name: the batch's id, which begins with its time and so sorts
// by age, and its number of events.
func spoolName(b *batch) string {
	return hex.EncodeToString(b.id[:]) + "-" + strconv.Itoa(b.events) + batchSuffix
}

func parseSpoolName(name string) (id ID, events int, err error) {
	first, second, _ := strings.Cut(strings.TrimSuffix(name, batchSuffix), "-")
	if len(first) != hex.EncodedLen(len(id)) {
		return id, 0, errSpoolCorrupt
	}
	if events, err = strconv.Atoi(second); err != nil || events < 1 || events > maxBatchEvents {
		return id, 0, errSpoolCorrupt
	}
	if _, err = hex.Decode(id[:], []byte(first)); err != nil {
		return id, 0, errSpoolCorrupt
	}
	return id, events, nil
}

// put writes a batch and says in it where it is. After an error it is not on disk.
func (s *spool) put(b *batch) error {
	size := int64(spoolHeader + len(b.data))
	if s.bytes+size > s.max {
		return errSpoolFull
	}
	file := filepath.Join(s.dir, spoolName(b))
	temporary := file + temporarySuffix
	err := os.WriteFile(temporary, spooledContent(b), 0o600)
	if err == nil {
		err = os.Rename(temporary, file)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("write to spool: %w", err)
	}
	s.bytes += size
	b.file = file
	return nil
}

// spooledContent is what a batch's file has in it.
func spooledContent(b *batch) []byte {
	content := make([]byte, 0, spoolHeader+len(b.data))
	content = append(content, spoolMagic...)
	content = binary.BigEndian.AppendUint32(content, checksum(b.data))
	content = binary.BigEndian.AppendUint32(content, uint32(b.events))
	return append(content, b.data...)
}

// load reads the bytes of a batch that was put.
func (s *spool) load(b *batch) error {
	content, err := os.ReadFile(b.file)
	if err != nil {
		return fmt.Errorf("read from spool: %w", err)
	}
	data, err := parseSpooled(content, b.id, b.events)
	if err != nil {
		return err
	}
	b.data = data
	return nil
}

// parseSpooled returns the batch in a file's content.
func parseSpooled(content []byte, id ID, events int) ([]byte, error) {
	if len(content) <= spoolHeader+headBytes || string(content[:len(spoolMagic)]) != spoolMagic {
		return nil, errSpoolCorrupt
	}
	sum := binary.BigEndian.Uint32(content[len(spoolMagic):])
	count := binary.BigEndian.Uint32(content[len(spoolMagic)+4:])
	data := content[spoolHeader:]
	if sum != checksum(data) || int(count) != events || string(data[2:headBytes]) != string(id[:]) {
		return nil, errSpoolCorrupt
	}
	return data, nil
}

func checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// remove forgets a batch that is done with.
func (s *spool) remove(b *batch) {
	s.bytes -= int64(spoolHeader + headBytes + b.size)
	_ = os.Remove(b.file) // if it stays, it is sent again, which changes nothing
	b.file = ""
}

// setAside moves a batch that cannot be read to where it can be looked at.
func (s *spool) setAside(b *batch) {
	s.aside.Add(1)
	folder := filepath.Join(s.root, corruptFolder)
	_ = os.MkdirAll(folder, 0o700)
	kept, _ := os.ReadDir(folder)
	if len(kept) < maxCorrupt {
		_ = os.Rename(b.file, filepath.Join(folder, filepath.Base(b.file)))
	}
	s.remove(b)
}

// close gives up the lock. What is left in the folder is the next client's.
func (s *spool) close() {
	_ = os.Remove(s.dir) // not while it has files
	_, err := os.Stat(s.dir)
	unlockFile(s.lock)
	if errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(s.lock.Name())
	}
}
