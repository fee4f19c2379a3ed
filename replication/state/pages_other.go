//go:build !linux

package state

import (
	"os"

	"go.etcd.io/bbolt"
)

// prefetch does nothing here: see pages_linux.go.
func prefetch(*os.File) (stop func()) { return func() {} }

// pageRange does nothing here: see pages_linux.go.
type pageRange struct{}

func (*pageRange) init(*bbolt.Tx) {}

func (*pageRange) add([]byte) {}

func (*pageRange) forget() {}
