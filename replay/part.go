package replay

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Part is one of several parts of files, divided by a hash of seed and path. Different
// parts of as many share no file, and together they are all files. The zero part is all
// files.
type Part struct {
	// Number counts from 1 to Of.
	Number, Of int
}

// UnmarshalText parses a part such as "1/2". An empty text is all files.
func (p *Part) UnmarshalText(text []byte) error {
	*p = Part{}
	if len(text) == 0 {
		return nil
	}
	number, of, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(number)
	total, err2 := strconv.Atoi(of)
	part := Part{Number: n, Of: total}
	if err != nil || err2 != nil || total < 1 || part.validate() != nil {
		return fmt.Errorf("part %q: one such as 1/2 is needed", text)
	}
	*p = part
	return nil
}

// String returns the part as it is parsed.
func (p Part) String() string {
	if p == (Part{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", p.Number, p.Of)
}

func (p Part) validate() error {
	if p != (Part{}) && (p.Number < 1 || p.Number > p.Of) {
		return fmt.Errorf("part %d of %d: there is no such part", p.Number, p.Of)
	}
	return nil
}

// holds says whether a file is in the part.
func (p Part) holds(seed uint64, path string) bool {
	return p == (Part{}) || hash(seed, "part", filepath.ToSlash(path))%uint64(p.Of) == uint64(p.Number-1)
}
