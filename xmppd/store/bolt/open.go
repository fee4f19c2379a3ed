package bolt

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// FileName is the file of a store inside the data directory.
const FileName = "xmppd.db"

// formatVersion 1 was never released; its buckets are others.
const formatVersion = 2

// lockWait is how long Open waits for another process to let go of the file. It is short: the
// usual case is a server that runs, not one that is about to end.
const lockWait = 500 * time.Millisecond

// mapSize is address space, in bytes: the file grows to it before readers have to make way for a
// larger mapping. It costs no memory.
const mapSize = 64 << 20

// secretSize is in bytes.
const secretSize = 32

// Store is a store.Store in one bbolt file. bbolt's file lock keeps a second process out.
type Store struct {
	db     *bbolt.DB
	path   string // of the file
	domain string
	secret []byte
	faults faults

	mu      sync.Mutex
	arrived sync.Cond // on mu: pending has grown, or closing
	pending []*update
	closing bool

	broken chan error  // gets the error that makes the store refuse changes
	file   os.FileInfo // of the database, as it was opened
	stuck  atomic.Bool // bbolt has panicked with its locks held

	wg sync.WaitGroup // the committer
	committer
}

// Failed delivers, once, the error (ErrUncertain, ErrCorrupt) after which the store takes no more
// changes: the program had better end, and somebody look at the disk.
func (s *Store) Failed() <-chan error { return s.broken }

// faults are bugs that this package's tests plant.
type faults struct {
	ackEarly     bool // answer before the commit
	keepFailed   bool // leave the changes of a function that failed
	noSeparator  bool // keys without the NUL behind the owner
	noOwnerBound bool // ranges without an end run into the next owner
	noChecksum   bool // believe every record
	goOn         bool // take changes after the outcome of one is unknown
	noVerify     bool // open a file without a look at its structure
	noGuard      bool // let panics of bbolt through

	commit  func(commit func() error) error // wraps each commit
	maxSize int                             // of the file, in bytes
}

var _ store.Store = (*Store)(nil)

func bucketMeta() []byte { return []byte("meta") }
func bucketData() []byte { return []byte("data") }

// Open opens the store in directory dir, or makes it for a domain. domain may be empty if the
// directory has been used before. ErrLocked, ErrNewerFormat, ErrOldFormat, ErrForeign, ErrCorrupt
// and ErrNoDomain of package store say what to do. It looks at each page of the file: some 0.7 s
// a GB that is in memory.
func Open(dir, domain string) (*Store, error) { return open(dir, domain, faults{}) }

// OpenExisting is Open for a directory that has been used before; it makes nothing. ErrNoData, and
// the errors of Open.
func OpenExisting(dir, domain string) (*Store, error) {
	if isNew(dir) {
		return nil, fmt.Errorf("%s: %w: give --data the directory that the server uses; `xmppd user add --domain D` makes a new one", dir, store.ErrNoData)
	}
	return Open(dir, domain)
}

// isNew reports whether a directory has no file of a store. One that can't be looked into is not new.
func isNew(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, FileName))
	return errors.Is(err, fs.ErrNotExist)
}

func open(dir, domain string, f faults) (*Store, error) {
	if domain == "" && isNew(dir) {
		return nil, noDomain(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	if !f.noVerify {
		if err := verify(dir, path); err != nil {
			return nil, err
		}
	}
	opt := &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mapSize}
	if f.maxSize > 0 {
		opt.InitialMmapSize, opt.MaxSize = 0, f.maxSize
	}
	s := &Store{path: path, faults: f, broken: make(chan error, 1)}
	err := s.internal(func() (err error) {
		if s.db, err = bbolt.Open(path, 0o600, opt); err != nil {
			return openError(dir, path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.arrived.L = &s.mu
	if s.file, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", dir, err), s.db.Close())
	}
	if err := s.internal(func() error { return s.prepare(dir, domain) }); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.wg.Go(s.commitLoop)
	return s, nil
}

// openError says what to do about an error of bbolt.
func openError(dir, path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s: %w: stop the other process or give --data another directory", dir, store.ErrLocked)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%s: %w: not a database of this server (%w); move it away or restore a backup", path, store.ErrForeign, err)
	case errors.Is(err, bolterrors.ErrChecksum):
		return damagedFile(path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; run as the user who owns %s", err, dir) // the error names the path
	}
	return fmt.Errorf("data directory %s: %w", dir, err)
}

// prepare reads what the file says of itself; a new one is made.
func (s *Store) prepare(dir, domain string) error {
	ready := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta())
		if meta == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("%s: %w: the file holds another program's data", dir, store.ErrForeign)
			}
			return nil
		}
		switch v := meta.Get([]byte("format")); {
		case len(v) == 4 && binary.BigEndian.Uint32(v) < formatVersion:
			return fmt.Errorf("%s: %w, and can't be read by this one: move it away and begin with an empty directory", dir, store.ErrOldFormat)
		case len(v) != 4 || binary.BigEndian.Uint32(v) > formatVersion:
			return fmt.Errorf("%s: %w: run the version of xmppd that wrote it, or a later one", dir, store.ErrNewerFormat)
		}
		s.domain = string(meta.Get([]byte("domain")))
		if s.domain != domain && domain != "" {
			return fmt.Errorf("%s: %w: its accounts are of domain %q, not %q; give --domain %s or another --data", dir, store.ErrForeign, s.domain, domain, s.domain)
		}
		s.secret = bytes.Clone(meta.Get([]byte("secret")))
		if s.domain == "" || len(s.secret) != secretSize || tx.Bucket(bucketData()) == nil {
			return damagedFile(s.path, "what the file says of itself is not complete")
		}
		ready = true
		return nil
	})
	if err != nil || ready {
		return err
	}
	if domain == "" {
		return noDomain(dir)
	}
	return s.create(dir, domain)
}

func noDomain(dir string) error {
	return fmt.Errorf("%s: %w; give --domain to make it the store of a domain", dir, store.ErrNoDomain)
}

func (s *Store) create(dir, domain string) error {
	s.domain, s.secret = domain, make([]byte, secretSize)
	if _, err := rand.Read(s.secret); err != nil {
		return fmt.Errorf("make secret: %w", err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(bucketMeta())
		if err != nil {
			return err
		}
		_, err = tx.CreateBucket(bucketData())
		return errors.Join(err,
			meta.Put([]byte("format"), binary.BigEndian.AppendUint32(nil, formatVersion)),
			meta.Put([]byte("domain"), []byte(domain)),
			meta.Put([]byte("secret"), s.secret),
		)
	})
	if err != nil {
		return fmt.Errorf("create store: %w", err)
	}
	// The file's name must survive a crash too.
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync data directory: %w", err)
	}
	return nil
}

// Domain implements store.Store.
func (s *Store) Domain() string { return s.domain }

// Secret implements store.Store.
func (s *Store) Secret() []byte { return s.secret }

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closing = true
	s.arrived.Signal()
	s.mu.Unlock()
	s.wg.Wait()
	if s.stuck.Load() {
		return s.errStuck() // waiting for bbolt's locks would not end; the process's end frees the file
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
