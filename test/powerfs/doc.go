// Package powerfs is a file system for tests that forgets at a power cut what
// was not synced.
//
// A [Disk] keeps what programs see apart from what would survive a loss of
// power. Write and truncate become durable by fsync or fdatasync of the file;
// create, remove and rename by fsync of the directory. [Disk.Cut] is the power
// cut: of what was not synced some reaches the disk and some does not, as a
// seed decides. Sectors of a file are kept or lost one by one, so that a write
// may be torn; the changes of a directory are kept up to one of them, since
// file systems with a journal keep their order.
//
// The contents lie in files of a host directory, unsynced pages in memory.
// [Mount] (Linux, root, /dev/fuse) shows a Disk to processes.
package powerfs
