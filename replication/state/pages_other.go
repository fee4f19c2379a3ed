//go:build !linux

package state

import "go.etcd.io/bbolt"

// pageRange does nothing here: see pages_linux.go.
type pageRange struct{}

func (*pageRange) init(*bbolt.Tx) {}

func (*pageRange) add([]byte) {}

func (*pageRange) forget() {}
