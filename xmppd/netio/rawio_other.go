//go:build !linux

package netio

import (
	"net"
	"syscall"
)

func readNow(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }

func writeNow(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }

// AwaitInput returns at once where there is no cheap way to wait.
func AwaitInput(net.Conn) error { return nil }
