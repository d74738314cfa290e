package near

import "math/bits"

// Index holds 64-bit SimHashes (Charikar 2002) no two of which are nearer than a number
// of bits. By the pigeonhole principle, two hashes that differ in at most k bits are equal
// in one of k+1 blocks of their bits: only those that are equal in a block are compared
// (Manku, Jain, Das Sarma 2007). Per hash it takes 8 bytes and 8 for each block.
type Index struct {
	distance int
	blocks   []block
	hashes   []uint64
}

// block is some neighbouring bits of the hashes.
type block struct {
	shift, mask uint64
	// last is the latest hash with a value of the block, as its number + 1; before is the
	// one before each hash.
	last   map[uint64]uint32
	before []uint32
}

// NewIndex returns an index of hashes that differ from each other in more than distance
// bits, 0 to 7.
func NewIndex(distance int) *Index {
	x := &Index{distance: distance}
	shift := 0
	for i := range distance + 1 {
		width := (64 - shift) / (distance + 1 - i)
		x.blocks = append(x.blocks, block{shift: uint64(shift), mask: 1<<width - 1, last: map[uint64]uint32{}})
		shift += width
	}
	return x
}

// Add adds a hash, unless one is there that is as near as the distance or nearer; then it
// returns false.
func (x *Index) Add(hash uint64) bool {
	for b := range x.blocks {
		block := &x.blocks[b]
		for at := block.last[block.of(hash)]; at > 0; at = block.before[at-1] {
			if bits.OnesCount64(x.hashes[at-1]^hash) <= x.distance {
				return false
			}
		}
	}
	x.hashes = append(x.hashes, hash)
	for b := range x.blocks {
		block := &x.blocks[b]
		value := block.of(hash)
		block.before = append(block.before, block.last[value])
		block.last[value] = uint32(len(x.hashes))
	}
	return true
}

// of is the value of a hash's block. A block of all 64 bits has a mask of all ones.
func (b *block) of(hash uint64) uint64 { return hash >> b.shift & b.mask }
