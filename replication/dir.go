package replication

// Dir is an opened and locked data directory.
type Dir struct {
	path    string
	store   string
	cluster string
	member  uint64
}

// OpenDir opens the data directory at path, making it (with a new store UUID)
// when it does not exist or is empty. It holds a lock until Close. Errors:
// ErrForeignDir, ErrNewerFormat, ErrLocked.
func OpenDir(path string) (*Dir, error) { return &Dir{path: path}, nil }

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Store is the UUID made with the directory; it never changes.
func (d *Dir) Store() string { return d.store }

// Cluster is the UUID of the cluster the directory belongs to; "" while none.
func (d *Dir) Cluster() string { return d.cluster }

// Member is the Raft node id the cluster gave this store; 0 while none.
func (d *Dir) Member() uint64 { return d.member }

// Close releases the lock. The Node on it must be closed before.
func (d *Dir) Close() error { return nil }
