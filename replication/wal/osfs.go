package wal

// OSFS is the operating system's file system.
type OSFS struct{ FS }
