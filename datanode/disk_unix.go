//go:build unix

package datanode

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// diskSpace asks the operating system; free is what an unprivileged user may
// still write.
func diskSpace(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), uint64(s.Blocks) * uint64(s.Bsize), nil
}
