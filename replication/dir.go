package replication

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"
)

// Files of a data directory.
const (
	identityFile = "identity"
	lockFile     = "LOCK"
	ringFile     = "ring"
	walDir       = "wal"
	stateFile    = "state.db"
)

// identity is the body of the identity file.
type identity struct {
	Store   string `json:"store"`             // UUID, made with the directory
	Cluster string `json:"cluster,omitempty"` // UUID of the cluster it joined
	Member  uint64 `json:"member,omitempty"`  // its Raft node id there
	// Started: its groups have their first membership durably and may have voted.
	// From then on missing state is lost state, never that of a new store.
	Started bool `json:"started,omitempty"`
}

// Dir is an opened and locked data directory. Its methods are safe for
// concurrent use.
type Dir struct {
	path string
	lock *os.File

	mu sync.Mutex
	id identity
}

// OpenDir opens the data directory at path, making it (with a new store UUID)
// when it does not exist or is empty. It holds a lock until Close. Errors:
// ErrForeignDir, ErrDamaged, ErrNewerFormat, ErrLocked.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	lock, err := lockDir(filepath.Join(path, lockFile))
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", path, err)
	}
	d := &Dir{path: path, lock: lock}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

func (d *Dir) load() error {
	body, err := readFile(filepath.Join(d.path, identityFile), identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return d.create()
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &d.id); err != nil {
		return fmt.Errorf("%s: %w: %w", filepath.Join(d.path, identityFile), ErrDamaged, err)
	}
	return nil
}

// create makes a new identity, in an empty directory only: elsewhere it may be
// that just the identity is lost, and a new one would make the old data a stranger's.
func (d *Dir) create() error {
	names, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	for _, n := range names {
		switch n.Name() {
		case lockFile, identityFile + ".tmp", "lost+found":
		default:
			return fmt.Errorf("%w: %s has %s but no %s file; name an empty directory or the right one", ErrForeignDir, d.path, n.Name(), identityFile)
		}
	}
	d.id = identity{Store: uuid.NewString()}
	return d.save(d.id)
}

func (d *Dir) save(id identity) error {
	body, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return writeFile(filepath.Join(d.path, identityFile), identityFile, append(body, '\n'))
}

// join notes, durably, which member of which cluster the store is.
func (d *Dir) join(cluster string, member uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id.Cluster == cluster && d.id.Member == member {
		return nil
	}
	if d.id.Cluster != "" && d.id.Cluster != cluster {
		return fmt.Errorf("%w: the store belongs to cluster %s, the document is of %s", ErrForeignCluster, d.id.Cluster, cluster)
	}
	if d.id.Member != 0 && d.id.Member != member {
		return fmt.Errorf("%w: the store is member %d, the document says %d", ErrStranger, d.id.Member, member)
	}
	return d.become(cluster, member)
}

// rejoin notes, durably, the number that the store has in its cluster now. It must hold no replica of the one before.
func (d *Dir) rejoin(member uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.become(d.id.Cluster, member)
}

func (d *Dir) become(cluster string, member uint64) error {
	id := d.id
	id.Cluster, id.Member = cluster, member
	if err := d.save(id); err != nil {
		return err
	}
	d.id = id
	return nil
}

// markStarted notes, durably, that the store's groups have started.
func (d *Dir) markStarted() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id.Started {
		return nil
	}
	id := d.id
	id.Started = true
	if err := d.save(id); err != nil {
		return err
	}
	d.id = id
	return nil
}

func (d *Dir) started() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id.Started
}

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Store is the UUID made with the directory; it never changes.
func (d *Dir) Store() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id.Store
}

// Cluster is the UUID of the cluster the directory belongs to; "" while none.
func (d *Dir) Cluster() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id.Cluster
}

// Member is the Raft node id the cluster gave this store; 0 while none.
func (d *Dir) Member() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id.Member
}

// Close releases the lock. The Node on it must be closed before.
func (d *Dir) Close() error { return d.lock.Close() }
