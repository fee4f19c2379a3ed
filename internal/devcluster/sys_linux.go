package devcluster

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// childAttributes puts a child into a session of its own, so that a ctrl-C at
// the terminal reaches only the parent, which then stops it in order.
func childAttributes(dieWithParent bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if dieWithParent {
		a.Pdeathsig = syscall.SIGKILL
	}
	return a
}

// commandLine returns the arguments of a live process; none for one that is
// gone or a zombie.
func commandLine(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(b, []byte{0})), "\x00")
}
