//go:build !linux

package powerfs

import "errors"

// Mounted is a Disk that processes see under a path.
type Mounted struct{}

// Supported says why Mount cannot work here.
func Supported() error { return errors.New("the file system needs Linux") }

// Mount fails: it needs Linux.
func Mount(*Disk, string) (*Mounted, error) { return nil, Supported() }

// Unmount is never called.
func (*Mounted) Unmount() error { return nil }
