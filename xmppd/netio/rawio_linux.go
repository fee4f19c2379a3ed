package netio

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readNow and writeNow are read(2) and write(2) on a descriptor that doesn't block. They skip what
// the runtime does around a system call that may block: on an otherwise idle server that is two
// wake-ups of its monitor thread for each stanza. docs/adr/0008-raw-system-calls.md has the figures.
func readNow(fd uintptr, p []byte) (int, error) { return rawIO(syscall.SYS_READ, fd, p) }

func writeNow(fd uintptr, p []byte) (int, error) { return rawIO(syscall.SYS_WRITE, fd, p) }

func rawIO(trap, fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// pollNow asks an epoll descriptor for events, without waiting; 0 also when that fails.
func pollNow(fd uintptr, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
