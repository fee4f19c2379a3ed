//go:build !linux

package wal

// Datasync is Sync where there is nothing cheaper.
func (f osFile) Datasync() error { return f.Sync() }

func (f osFile) reserve(int64) error { return nil }
