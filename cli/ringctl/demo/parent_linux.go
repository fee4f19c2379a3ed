package demo

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithParent makes the end of `go run` this program's end: a SIGTERM or
// SIGKILL that stops `go run` does not reach the program it runs, and a demo
// must leave nothing behind. The same goes for make. Programs that were installed keep the usual
// behaviour, nohup included.
func endWithParent(getenv func(string) string) {
	exe, err := os.Executable()
	if byGo := err == nil && strings.Contains(exe, "/go-build"); !byGo && getenv("MAKELEVEL") == "" {
		return
	}
	// It can fail only for a bad argument; the demo works without it.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0)
}
