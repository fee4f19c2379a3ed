// Package rawio reads and writes sockets that don't block without what the
// runtime does around a system call that may block. On a process that is idle in
// between that is two wake-ups of Go's monitor thread for each stanza
// (docs/adr/0008-raw-system-calls.md).
package rawio
