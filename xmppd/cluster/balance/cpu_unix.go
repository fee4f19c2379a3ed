//go:build unix

package balance

import (
	"syscall"
	"time"
)

// cpuUsed is the time that the process has had of processors.
func cpuUsed() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
