//go:build linux || darwin || freebsd

package eventlog

import "golang.org/x/sys/unix"

// diskSpace is the size of the disk of a folder, and what of it this process may use.
func diskSpace(dir string) (size, free int64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, 0, err
	}
	block := int64(stat.Bsize) //nolint:unconvert // other systems have another type
	return int64(stat.Blocks) * block, int64(stat.Bavail) * block, nil
}
