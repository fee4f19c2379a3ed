package wal

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Datasync leaves out the file's times, which saves the journal write of Sync.
func (f osFile) Datasync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f osFile) reserve(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil // writing the zeros allocates as well
		}
		return err
	}
}
