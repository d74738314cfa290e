//go:build unix

package engine

import (
	"os/exec"
	"syscall"
)

// separate puts the child into a process group of its own, so that Ctrl-C in a
// terminal reaches only the parent, which stops the child in its turn.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
