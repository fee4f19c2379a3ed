//go:build !unix

package rawio

import "errors"

// Read is not there: Wrap leaves connections as they are.
func Read(uintptr, []byte) (n int, err error) { return -1, errors.ErrUnsupported }

// Write is not there: Wrap leaves connections as they are.
func Write(uintptr, []byte) (n int, err error) { return -1, errors.ErrUnsupported }
