package collector

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// The sizes of pooled buffers are the powers of two from 2^minPooled to 2^maxPooled.
// The library returns no buffer that is smaller.
const (
	minPooled = 11
	maxPooled = 23
)

// pool keeps the buffers of requests and answers for the next ones. Unlike the pool of
// the library it does not clear a buffer, which is always written in full, and has a
// size near to that of any request: there, one of 33 KB takes, and clears, 1 MB.
type pool struct {
	sizes [maxPooled + 1]sync.Pool // of *[]byte, by the exponent of their capacity
}

var _ mem.BufferPool = (*pool)(nil)

// Get returns a buffer of length bytes that may hold anything.
func (p *pool) Get(length int) *[]byte {
	size := bits.Len(uint(max(length, 1) - 1))
	if size < minPooled || size > maxPooled {
		return new(make([]byte, length))
	}
	if b, ok := p.sizes[size].Get().(*[]byte); ok {
		*b = (*b)[:length]
		return b
	}
	return new(make([]byte, length, 1<<size))
}

// Put takes back a buffer of Get.
func (p *pool) Put(b *[]byte) {
	size := bits.Len(uint(cap(*b))) - 1
	if size < minPooled || size > maxPooled || cap(*b) != 1<<size {
		return
	}
	p.sizes[size].Put(b)
}
