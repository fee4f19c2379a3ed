package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// forget takes files out of the machine's memory, as a restart of the machine
// would. Nobody may have them mapped. ok says whether that is possible here.
func forget(files []string) (ok bool, err error) {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return false, err
		}
		err = f.Sync() // what is not written can't be forgotten
		if err == nil {
			err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		}
		f.Close() //nolint:errcheck // it was only read
		if err != nil {
			return false, fmt.Errorf("take %s out of memory: %w", name, err)
		}
	}
	return true, nil
}
