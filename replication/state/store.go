package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// storeFormat is the version of the file. 1 had no expiry, no history and no
// indexes; what it had is the same, so that it becomes 2 when it is opened.
const storeFormat = 2

// Names of buckets and keys: see the package documentation.
var (
	metaBucket     = []byte("meta")
	objectsBucket  = []byte("objects")
	rootsBucket    = []byte("roots")
	sessionsBucket = []byte("sessions")
	expiryBucket   = []byte("expiry")
	historyBucket  = []byte("history")
	indexBucket    = []byte("index")
	machineBucket  = []byte("machine")
	formatKey      = []byte("format")
	storeKey       = []byte("store")
	logKey         = []byte("log")
	positionKey    = []byte("position")
	ringKey        = []byte("ring")
	condemnedKey   = []byte("condemned")
	indexesKey     = []byte("indexes")
	historyKey     = []byte("history")
)

// Store is the state of all partitions of a node in one bbolt file. Safe for
// concurrent use.
type Store struct {
	db   *bbolt.DB
	path string
	opt  Options

	flushing sync.Mutex // one Flush or Restore at a time
	marked   uint64     // of the log, by a Flush of this life; flushing guards it
	// lastRecord is what Flush notes of the log; nil: nothing.
	lastRecord func() uint64
	// writes counts their beginnings and ends: it is odd while one is under way.
	// A transaction is kept only if it was begun at the present, even count;
	// else it might show the file as it was before a commit whose overlays are
	// gone.
	writes atomic.Uint64
	dirty  atomic.Int64 // bytes not flushed
	torn   atomic.Bool  // pages of the file make no sense

	scratches sync.Pool // of *scratch

	mu         sync.Mutex
	partitions map[uint32]*Partition
	err        error // why the store is dead
	closed     bool
}

// OpenStore opens or creates the file. Errors: ErrNewerFormat, ErrLocked,
// ErrForeign, ErrCorrupt, ErrFull.
func OpenStore(path string, opt Options) (*Store, error) {
	opt.setDefaults()
	_, statErr := os.Stat(path)
	db, err := openFile(path, &bbolt.Options{
		Timeout:         time.Second,
		InitialMmapSize: mapSize(path),
		// The list of free pages is written by Close only: after a crash it is found
		// out again rather than written with each flush.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		NoSync:         opt.NoSync,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, openError(err))
	}
	s := &Store{db: db, path: path, opt: opt, partitions: make(map[uint32]*Partition)}
	s.scratches.New = func() any { return new(scratch) }
	// A killed process may have written its last commit and not synced it; the next one uses pages again that
	// only this one has freed, so that a power cut would leave neither.
	if !opt.NoSync {
		err = diskError(db.Sync())
	}
	if err == nil {
		err = s.checkFormat()
	}
	if err == nil && opt.Store != "" {
		err = s.checkOwner()
	}
	if err == nil && errors.Is(statErr, os.ErrNotExist) && !opt.NoSync {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = s.Close() // the first error tells more
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

// mapSize is how much of the file is mapped at once, beyond its end. When a file
// outgrows its mapping, bbolt waits for all read transactions before it makes a
// larger one, and lets nobody begin another: with a picture open, everything would
// stand still. It costs addresses, not memory.
func mapSize(path string) int {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" { // where it would cost more
		return 0
	}
	size := int64(64 << 30)
	if info, err := os.Stat(path); err == nil {
		size = max(size, 4*info.Size())
	}
	return int(size)
}

// openFile lets bbolt open the file, once its pages are known to make sense.
func openFile(path string, opt *bbolt.Options) (db *bbolt.DB, err error) {
	if err := checkPages(path); errors.Is(err, ErrCorrupt) {
		return nil, fmt.Errorf("%s: %w", pagesText(path), err)
	} else if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	err = s.guard(func() error {
		db, err = bbolt.Open(path, 0o600, opt)
		return err
	})
	return db, err
}

func openError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w: stop it first", ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%w: %w: replace this node, its replicas have the data", ErrCorrupt, err)
	}
	return diskError(err)
}

// checkFormat reads the format version, or writes it into a file that is new or
// of an earlier one.
func (s *Store) checkFormat() error {
	var format []byte
	err := s.view(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(metaBucket); b != nil {
			format = slices.Clone(b.Get(formatKey))
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case format == nil || string(format) == "\x00\x00\x00\x01":
		return diskError(s.update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(metaBucket)
			if err != nil {
				return err
			}
			return b.Put(formatKey, binary.BigEndian.AppendUint32(nil, storeFormat))
		}))
	case len(format) != 4:
		return fmt.Errorf("%w: format version is unreadable", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(format); v != storeFormat {
		return fmt.Errorf("%w: version %d, this program knows %d: run the newer program", ErrNewerFormat, v, storeFormat)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// partitionKey names a partition's bucket.
func partitionKey(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{'p'}, id)
}

// Partition returns the partition, loading what is stored of it; an unknown one
// is empty. The same id gives the same *Partition. Errors: ErrCorrupt, ErrClosed.
func (s *Store) Partition(id uint32) (*Partition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if p := s.partitions[id]; p != nil {
		return p, nil
	}
	p := &Partition{store: s, id: id, key: partitionKey(id)}
	p.stored.p, p.read.p = p, p
	if err := s.view(p.load); err != nil {
		return nil, fmt.Errorf("load partition %d of %s: %w", id, s.path, err)
	}
	s.partitions[id] = p
	return p, nil
}

// Partitions lists the ids of the stored or opened partitions, ascending.
func (s *Store) Partitions() ([]uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	var ids []uint32
	for id := range s.partitions {
		ids = append(ids, id)
	}
	err := s.view(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			if len(name) == 5 && name[0] == 'p' {
				ids = append(ids, binary.BigEndian.Uint32(name[1:]))
			}
			return nil
		})
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// Used is the number of bytes of the file that hold something: what was allocated
// beforehand, and free pages, left out. 0 when the store is closed.
func (s *Store) Used() int64 {
	var used int64
	err := s.view(func(tx *bbolt.Tx) error {
		free := s.db.Stats().FreePageN + s.db.Stats().PendingPageN
		used = max(tx.Size()-int64(free*s.db.Info().PageSize), 0)
		return nil
	})
	if err != nil {
		return 0 // closed
	}
	return used
}

// Written is how many bytes of pages the store has given the file since it was
// opened.
func (s *Store) Written() int64 {
	stats := s.db.Stats()
	return stats.TxStats.GetPageAlloc()
}

// Dirty is how many bytes, about, wait for Flush.
func (s *Store) Dirty() int64 { return s.dirty.Load() }

// Err returns why the store is dead, or nil.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// usable tells why the store can't be written.
func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.err
}

// fail makes the store dead; the first error stays.
func (s *Store) fail(err error) error {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = err
	}
	err = s.err
	s.mu.Unlock()
	if first && s.opt.OnFatal != nil {
		s.opt.OnFatal(err)
	}
	return err
}

// beginWriting makes the lookups give up their transactions; they keep none
// until endWriting. flushing is held.
func (s *Store) beginWriting() []*Partition {
	s.writes.Add(1)
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.partitions))
	s.mu.Unlock()
	for _, p := range all {
		p.reading.Lock()
		p.read.close()
		p.reading.Unlock()
		p.mu.Lock()
		p.stored.close()
		p.mu.Unlock()
	}
	return all
}

func (s *Store) endWriting() { s.writes.Add(1) }

// Close closes the file without flushing: what was not flushed is lost, as in a
// crash. Call Flush first for a clean end. It waits for a running Flush. After damage of
// its pages the file stays open, and locked, until the process ends.
func (s *Store) Close() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	if s.torn.Load() {
		return nil // bbolt may hold its locks for ever: the file is closed with the process
	}
	for _, p := range s.beginWriting() { // it never ends: bbolt waits for all transactions
		p.mu.Lock()
		p.dropScrub()
		p.mu.Unlock()
	}
	s.keepFreelist()
	if s.torn.Load() {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}

// keepFreelist writes the list of free pages, so that bbolt does not look through
// the whole file for them when it is opened again. It is about time only: where it
// can't be written, bbolt looks.
func (s *Store) keepFreelist() {
	if s.Err() != nil {
		return // nobody knows what is on the disk
	}
	s.db.NoFreelistSync = false
	_ = s.update(func(*bbolt.Tx) error { return nil })
}
