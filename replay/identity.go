package replay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// identity is a digest of everything that the events of a replay follow from, so
// that the ids of two replays agree exactly where the replays do.
type identity [sha256.Size]byte

func newIdentity(cfg Config, p plan, t *tree) identity {
	return sha256.Sum256(fmt.Appendf(nil, "%d %d %d %d %v %d %q %q %q %q %q", cfg.Seed, cfg.Content, cfg.History,
		p.base.UnixMilli(), p.quotas, p.users, t.retyped, t.trainedOn, cfg.Baseline, cfg.Candidate, cfg.Lessons))
}

// of returns the seed of the ids of session i.
func (id identity) of(i int) [sha256.Size]byte {
	return sha256.Sum256(binary.LittleEndian.AppendUint64(id[:], uint64(i)))
}
