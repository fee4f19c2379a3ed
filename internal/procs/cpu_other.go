//go:build !unix

package procs

import "time"

func cpuTime() (used time.Duration, ok bool) { return 0, false }
