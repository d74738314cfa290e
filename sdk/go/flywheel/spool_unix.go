//go:build unix

package flywheel

import (
	"errors"
	"os"
	"syscall"
)

// lockFile opens a file that no other process has locked. The system releases the
// lock when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// unlockFile releases a lock.
func unlockFile(file *os.File) { _ = file.Close() }
