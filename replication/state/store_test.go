package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// edit changes the closed bbolt file behind the store's back.
func edit(t *testing.T, path string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// flip changes one byte of a stored value.
func flip(b *bbolt.Bucket, key []byte, at int) error {
	v := bytes.Clone(b.Get(key))
	v[(at+len(v))%len(v)] ^= 1
	return b.Put(key, v)
}

// stored makes a file with one object and returns its path.
func stored(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	s, err := OpenStore(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{t: t, p: testPart(t, s, 3)}
	f.put(f.open(), 1, 1, "path", "value")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// digested reads a picture, and says at what index it is.
func digested(p *Partition) (uint64, error) {
	v, err := p.Picture(0)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	index, _, _ := v.Position()
	_, err = v.Digest(func(int) error { return nil })
	return index, err
}

// TestDamagedObject: a flipped byte is found by each way to the object.
func TestDamagedObject(t *testing.T) {
	path := stored(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		return flip(tx.Bucket(partitionKey(3)).Bucket(objectsBucket), appendKey(nil, "root", "path"), -1)
	})
	var fatal error
	s, err := OpenStore(path, Options{OnFatal: func(err error) { fatal = err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := testPart(t, s, 3)
	for _, r := range []*op.Read{
		{Kind: op.Get, Root: "root", Path: "path"},
		{Kind: op.List, Root: "root", FromStart: true},
	} {
		if res := p.Read(r); res.Code != op.Unavailable || !strings.Contains(res.Text, "checksum") {
			t.Errorf("read %+v: %+v", r, res)
		}
	}
	if _, err := digested(p); !errors.Is(err, ErrCorrupt) {
		t.Errorf("snapshot: %v", err)
	}
	if fatal != nil {
		t.Fatalf("a read stopped the replica: %v", fatal)
	}
	// A replica that can't evaluate a condition must not guess.
	f := &feed{t: t, p: p, index: 2}
	if r := f.create(1, 2, "path"); r.Code != op.Retry {
		t.Errorf("condition on the damaged object: %+v", r)
	}
	if index, _ := p.Applied(); index != 2 || !errors.Is(p.Damaged(), ErrCorrupt) || fatal != nil {
		t.Errorf("applied %d, damaged %v, fatal %v", index, p.Damaged(), fatal)
	}
	// Another replica's state takes its place.
	other := testPart(t, testStore(t, Options{}), 3)
	g := &feed{t: t, p: other}
	for seq := range uint64(4) {
		if seq == 0 {
			g.open()
		} else {
			g.put(1, seq, 1, "path", "value")
		}
	}
	if err := copyState(other, p); err != nil || p.Damaged() != nil || p.Digest() != other.Digest() {
		t.Errorf("repair: %v, damaged %v", err, p.Damaged())
	}
}

// TestDamageUnderEntries: what follows an entry that a damaged record keeps from being
// applied waits for the repair, too; it is no gap.
func TestDamageUnderEntries(t *testing.T) {
	path := stored(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		return flip(tx.Bucket(partitionKey(3)).Bucket(objectsBucket), []byte("root\x00path"), -1)
	})
	var fatal error
	s, err := OpenStore(path, Options{OnFatal: func(err error) { fatal = err }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	p := testPart(t, s, 3)
	f := &feed{t: t, p: p, index: 2}
	for seq := range uint64(2) {
		f.create(1, 2+seq, "path")
	}
	if index, _ := p.Applied(); index != 2 || p.Damaged() == nil || fatal != nil {
		t.Errorf("applied %d, damaged %v, stopped by %v", index, p.Damaged(), fatal)
	}
}

// TestCondemned: what a scrub has found is known behind a crash, until the state is
// replaced.
func TestCondemned(t *testing.T) {
	reopened := func(path string, faults Faults) (*Store, *Partition) {
		s, err := OpenStore(path, Options{Faults: faults})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, testPart(t, s, 3)
	}
	for _, faults := range []Faults{{}, {CondemnedInMemory: true}} {
		path := stored(t)
		s, p := reopened(path, faults)
		if err := p.Condemn(errors.New("differs")); err != nil || p.Damaged() == nil {
			t.Fatalf("%v, damaged %v", err, p.Damaged())
		}
		s.Close() // as in a crash
		s, p = reopened(path, faults)
		if forgotten := p.Damaged() == nil; forgotten != faults.CondemnedInMemory {
			t.Fatalf("%+v: forgotten %v", faults, forgotten)
		} else if forgotten {
			continue
		}
		if index, _ := p.Applied(); index != 2 {
			t.Errorf("its position is %d", index)
		}
		other := testPart(t, testStore(t, Options{}), 3)
		f := &feed{t: t, p: other}
		f.put(f.open(), 1, 1, "path", "value")
		if err := copyState(other, p); err != nil || p.Damaged() != nil {
			t.Fatalf("repair: %v, damaged %v", err, p.Damaged())
		}
		s.Close()
		if _, p = reopened(path, faults); p.Damaged() != nil || p.Digest() != other.Digest() {
			t.Errorf("after the repair: damaged %v", p.Damaged())
		}
	}
}

// TestDamageMetByAnExport: what an export finds damaged is repaired as what a read does.
func TestDamageMetByAnExport(t *testing.T) {
	path := stored(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		return flip(tx.Bucket(partitionKey(3)).Bucket(objectsBucket), appendKey(nil, "root", "path"), -1)
	})
	told := 0
	s, err := OpenStore(path, Options{OnDamaged: func(uint32, error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := testPart(t, s, 3)
	v, err := p.Picture(0)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Objects(nil, false, 1, func(*op.Object) bool { return true }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an export of a damaged object: %v", err)
	}
	if p.Damaged() == nil || told != 1 {
		t.Errorf("damaged: %v, told %d times", p.Damaged(), told)
	}
}

func TestDamagedPartition(t *testing.T) {
	for name, damage := range map[string]func(b *bbolt.Bucket) error{
		"position":         func(b *bbolt.Bucket) error { return flip(b, positionKey, 5) },
		"position missing": func(b *bbolt.Bucket) error { return b.Delete(positionKey) },
		"session":          func(b *bbolt.Bucket) error { return flip(b.Bucket(sessionsBucket), sessionKey(1), 7) },
		"session in another's place": func(b *bbolt.Bucket) error {
			return b.Bucket(sessionsBucket).Put(sessionKey(2), bytes.Clone(b.Bucket(sessionsBucket).Get(sessionKey(1))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := stored(t)
			edit(t, path, func(tx *bbolt.Tx) error { return damage(tx.Bucket(partitionKey(3))) })
			s, err := OpenStore(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			p, err := s.Partition(3)
			if strings.HasPrefix(name, "session") { // another replica has it; the position is sound
				if err != nil || !errors.Is(p.Damaged(), ErrCorrupt) {
					t.Errorf("load: %v, damaged %v", err, p.Damaged())
				}
			} else if !errors.Is(err, ErrCorrupt) {
				t.Errorf("load: %v", err)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	path := stored(t)
	s, err := OpenStore(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(path, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	testPart(t, s, ring.MetaPartition)
	if ids, err := s.Partitions(); err != nil || !slices.Equal(ids, []uint32{3, ring.MetaPartition}) {
		t.Errorf("partitions %v, %v", ids, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("flush after close: %v", err)
	}
	if _, err := s.Partition(3); !errors.Is(err, ErrClosed) {
		t.Errorf("partition after close: %v", err)
	}
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatKey, binary.BigEndian.AppendUint32(nil, storeFormat+1))
	})
	if _, err := OpenStore(path, Options{}); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("newer format: %v", err)
	}
}

// TestFailedFlush: after an error other than want of room nothing is trusted.
func TestFailedFlush(t *testing.T) {
	broken := errors.New("input/output error")
	var fatal error
	s := testStore(t, Options{failFlush: func() error { return broken }, OnFatal: func(err error) { fatal = err }})
	f := &feed{t: t, p: testPart(t, s, 3)}
	id := f.open()
	for range 2 {
		if err := s.Flush(); !errors.Is(err, ErrFailed) || !errors.Is(err, broken) {
			t.Errorf("flush: %v", err)
		}
	}
	if !errors.Is(fatal, ErrFailed) {
		t.Errorf("fatal: %v", fatal)
	}
	if r := f.put(id, 1, 1, "", ""); r.Code != op.Unavailable || f.p.Durable() != 0 {
		t.Errorf("apply on a dead store: %+v", r)
	}
}

func TestEntriesInOrder(t *testing.T) {
	f := newFeed(t, Options{})
	id := f.open()
	if r := f.p.Apply(1, 1, EncodeOpen(nil, 0, "again@example.org")); r.Code != op.Unknown {
		t.Errorf("an entry applied before: %+v", r)
	}
	f.p.SetConf(2, 5, []byte("conf"))
	f.index = 2
	if r := f.put(id, 1, 1, "", ""); r.Code != op.OK {
		t.Errorf("behind a configuration: %+v", r)
	}
	if index, term := f.p.Applied(); index != 3 || term != 1 || string(f.p.Conf()) != "conf" {
		t.Errorf("applied %d of term %d with %q", index, term, f.p.Conf())
	}
	f.index++
	if r := f.put(id, 2, 1, "", ""); r.Code != op.Unavailable || f.p.store.Err() == nil {
		t.Errorf("behind a gap: %+v", r)
	}
}

// TestSideBySide applies, reads, flushes and takes snapshots at once.
func TestSideBySide(t *testing.T) {
	s := testStore(t, Options{NoSync: true})
	const parts, writes = 3, 400
	var appliers, others sync.WaitGroup
	stop := make(chan struct{})
	for id := range uint32(parts) {
		f := &feed{t: t, p: testPart(t, s, id)}
		session := f.open()
		var done atomic.Uint64 // revision of the last write answered
		appliers.Go(func() {
			for seq := range uint64(writes) {
				r := f.put(session, seq+1, seq+1, fmt.Sprint("path", seq%50), strings.Repeat("v", int(seq)))
				if r.Code != op.OK || r.Revision != seq+1 {
					t.Errorf("write %d: %+v", seq+1, r)
				}
				done.Store(r.Revision)
			}
		})
		others.Go(func() { readUntil(t, f.p, &done, stop) })
	}
	others.Go(func() {
		for {
			if err := s.Flush(); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	appliers.Wait()
	close(stop)
	others.Wait()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := s.Dirty(); n != 0 {
		t.Errorf("%d bytes are dirty after the last flush", n)
	}
}

// readUntil checks that what is read is never older than what was answered
// before the read began.
func readUntil(t *testing.T, p *Partition, done *atomic.Uint64, stop chan struct{}) {
	var taken uint64
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, r := range []*op.Read{
			{Kind: op.Get, Root: "root", Path: "path7"},
			{Kind: op.List, Root: "root", FromStart: true},
		} {
			revision := done.Load()
			res := p.Read(r)
			if res.Code == op.Unavailable || res.Revision < revision {
				t.Errorf("revision %d after %d: %+v", res.Revision, revision, res)
			}
			// path7 is written at revisions 8, 58, 108 …
			if r.Kind == op.Get && revision >= 8 && (len(res.Objects) == 0 || res.Objects[0].Version+50 <= revision) {
				t.Errorf("at revision %d: %+v", revision, res)
			}
			for _, o := range res.Objects {
				if o.Version > res.Revision || o.Size != o.Version-1 {
					t.Errorf("object %q of version %d at revision %d has %d bytes", o.Path, o.Version, res.Revision, o.Size)
				}
			}
		}
		index, err := digested(p)
		if err != nil || index < taken {
			t.Errorf("snapshot at %d after %d: %v", index, taken, err)
		}
		taken = index
	}
}

// TestReaderDuringFlush: a transaction begun before the commit must not be kept
// beyond it, because the overlay that made up for its age is gone.
func TestReaderDuringFlush(t *testing.T) {
	var p *Partition
	s := testStore(t, Options{failFlush: func() error { return p.read.begin() }})
	p = testPart(t, s, 3)
	f := &feed{t: t, p: p}
	id := f.open()
	get := &op.Read{Kind: op.Get, Root: "root", Path: "path"}
	for i, value := range []string{"one", "two"} {
		f.put(id, uint64(i+1), 1, "path", value)
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		p.read.done() // the read that began during the flush ends
		if r := p.Read(get); r.Code != op.OK || string(r.Objects[0].Value) != value {
			t.Errorf("read after the flush of %q: %+v", value, r)
		}
	}
}

// TestFlushIsRetried: a full disk loses nothing.
func TestFlushIsRetried(t *testing.T) {
	full := true
	s := testStore(t, Options{failFlush: func() error {
		if full {
			return fmt.Errorf("write: %w", syscall.ENOSPC)
		}
		return nil
	}})
	f := &feed{t: t, p: testPart(t, s, 3)}
	id := f.open()
	for i := range uint64(3) {
		f.put(id, i+1, 1, fmt.Sprint(i), "value")
		if err := s.Flush(); !errors.Is(err, ErrFull) || f.p.Durable() != 0 {
			t.Fatalf("flush on a full disk: %v, durable %d", err, f.p.Durable())
		}
	}
	want := f.p.Digest()
	full = false
	if err := s.Flush(); err != nil || f.p.Durable() != 4 || s.Dirty() != 0 {
		t.Fatalf("flush with room: %v, durable %d, dirty %d", err, f.p.Durable(), s.Dirty())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStore(s.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := testPart(t, again, 3).Digest(); got != want {
		t.Errorf("digest %x after reopening, %x before", got, want)
	}
}

// TestWritten: what a flush writes is counted, whole pages of it.
func TestWritten(t *testing.T) {
	s := testStore(t, Options{})
	f := &feed{t: t, p: testPart(t, s, 3)}
	f.put(f.open(), 1, 1, "path", strings.Repeat("v", 100_000))
	before := s.Written()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := s.Written() - before; n < 100_000 || n > 200_000 {
		t.Errorf("a flush of 100,000 bytes has written %d", n)
	}
}
