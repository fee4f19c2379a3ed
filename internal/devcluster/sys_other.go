//go:build unix && !linux

package devcluster

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes puts a child into a session of its own. There is no
// parent-death signal here: a parent that is killed leaves its children.
func childAttributes(bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true}
}

// ending would say whether a process is about to end; it is not known here.
func ending(int) bool { return false }

// commandLine returns the arguments of a live process, as far as ps tells them
// apart; none for one that is gone.
func commandLine(pid int) []string {
	out, err := exec.Command("ps", "-ww", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}
