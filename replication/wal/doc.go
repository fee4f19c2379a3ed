// Package wal is the write-ahead log of a data node: the one file that an
// acknowledgement waits for.
package wal
