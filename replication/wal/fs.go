package wal

// FS is what the log needs of a file system. Names are slash-separated paths.
// Implementations: OSFS, and MemFS for tests and the simulator.
type FS interface {
	MkdirAll(dir string) error
	// List names the files in dir, in no particular order.
	List(dir string) ([]string, error)
	// Create makes a new file or empties an existing one.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Rename replaces newname if it exists. Durable after SyncDir.
	Rename(oldname, newname string) error
	// Remove is durable after SyncDir.
	Remove(name string) error
	// SyncDir makes the entries of dir durable.
	SyncDir(dir string) error
}

// File is an open file. A name may be removed or renamed while it is open.
type File interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// Allocate extends the file to size with blocks that are really there, so
	// that later writes inside can't fail for want of room. The error is
	// syscall.ENOSPC when there is none.
	Allocate(size int64) error
	Size() (int64, error)
	// Sync makes contents and size durable.
	Sync() error
	// Datasync makes written bytes inside the present size durable.
	Datasync() error
	Close() error
}
