package devcluster

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
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

// ending says whether a process is about to end: its memory, and with it its arguments, may be
// gone already while its files are not.
func ending(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return err == nil && endingBy(string(stat), len(threads))
}

// endingBy reads /proc/PID/stat (proc_pid_stat(5)) of a process with so many threads: a
// zombie has given back its files when it is the last of them.
func endingBy(stat string, threads int) bool {
	const state, flags, exiting = 0, 6, 0x4 // places behind the name, which is in parentheses; PF_EXITING
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= flags {
		return false
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return threads > 1
	}
	bits, err := strconv.ParseUint(fields[flags], 10, 64)
	return err == nil && bits&exiting != 0
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
