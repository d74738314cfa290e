//go:build !unix && !windows

package flywheel

import (
	"errors"
	"os"
)

// lockFile fails: without locks nobody could tell the folders of dead clients.
func lockFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func unlockFile(*os.File) {}
