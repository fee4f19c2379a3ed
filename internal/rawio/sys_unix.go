//go:build unix && !linux

package rawio

import "syscall"

// Read is read(2) on a descriptor that doesn't block; on an error n is -1.
func Read(fd uintptr, p []byte) (n int, err error) { return syscall.Read(int(fd), p) }

// Write is write(2) on a descriptor that doesn't block; on an error n is -1.
func Write(fd uintptr, p []byte) (n int, err error) { return syscall.Write(int(fd), p) }
