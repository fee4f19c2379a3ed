package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// The layout of bbolt's file (little endian): a page's header is its number (8 bytes), its kind (2),
// the number of its elements (2) and the number of pages that follow as a part of it (4).
const (
	pageHeader   = 16
	elementSize  = 16
	bucketHeader = 16 // root page (8), sequence (8)
	metaSum      = pageHeader + 56
	maxDepth     = 64 // of a tree; a file of any size needs fewer than ten

	kindBranch   = 1
	kindLeaf     = 2
	kindFreelist = 16
	flagBucket   = 1
	noFreelist   = 1<<64 - 1
)

// verify looks at the structure of a file before bbolt does, which believes it: that all pages are
// there, are of the kind they should be, hold as much as they say, and belong to one place. It reads
// each page's header and index, not the records, whose checksums are looked at when they are read.
// A shared lock keeps a server from changing the file meanwhile.
func verify(dir, path string) (err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // to be made
	}
	defer func() {
		if v := recover(); v != nil {
			err = damagedFile(path, v)
		}
	}()
	defer onFault()()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		err = openError(dir, path, err)
		if !errors.Is(err, store.ErrForeign) && info != nil && info.Size() < 2*int64(os.Getpagesize()) {
			return damagedFile(path, "the file is cut short")
		}
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	file, err := os.Open(path)
	if err != nil {
		return openError(dir, path, err)
	}
	defer func() { _ = file.Close() }() // only read
	c := checker{file: file, size: db.Info().PageSize}
	if info, err = file.Stat(); err == nil {
		err = c.check(info.Size())
	}
	if err != nil {
		return damagedFile(path, err)
	}
	return nil
}

// damagedFile is what to do about a file that is no tree.
func damagedFile(path string, why any) error {
	return fmt.Errorf("%s: %w: %v; stop what uses it and restore the file from a backup", path, store.ErrCorrupt, why)
}

// checker walks the pages of a file.
type checker struct {
	file *os.File
	size int    // of a page, in bytes
	end  uint64 // the first page that was never used
	seen []bool // by page
	bufs [maxDepth + 1][]byte
}

// meta is what a meta page says.
type meta struct{ root, freelist, end, txid uint64 }

func (c *checker) check(length int64) error {
	m, err := c.meta()
	if err != nil {
		return err
	}
	pages := uint64(length) / uint64(c.size) //nolint:gosec // not negative
	if m.end > pages {
		return fmt.Errorf("the file is cut short: it has %d bytes of at least %d", length, m.end*uint64(c.size))
	}
	c.end, c.seen = m.end, make([]bool, m.end)
	if err := c.tree(m.root, 0); err != nil {
		return err
	}
	if m.freelist == noFreelist {
		return nil
	}
	return c.freelist(m.freelist)
}

// meta returns the newer of the meta pages that are whole.
func (c *checker) meta() (best meta, err error) {
	found := false
	for i := range 2 {
		b := make([]byte, c.size)
		if _, err := c.file.ReadAt(b, int64(i*c.size)); err != nil {
			return best, fmt.Errorf("meta page %d: %w", i, err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(b[pageHeader:metaSum]) // never fails
		if sum.Sum64() != le64(b[metaSum:]) {
			continue
		}
		m := meta{root: le64(b[32:]), freelist: le64(b[48:]), end: le64(b[56:]), txid: le64(b[64:])}
		if !found || m.txid > best.txid {
			best, found = m, true
		}
	}
	if !found {
		return best, errors.New("both meta pages are damaged")
	}
	return best, nil
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func le32(b []byte) uint64 { return uint64(binary.LittleEndian.Uint32(b)) }

// claim marks pages as used; none may be used twice.
func (c *checker) claim(id, n uint64) error {
	if id < 2 || id >= c.end || n > c.end-id {
		return fmt.Errorf("%d pages at %d are not within the %d of the file", n, id, c.end)
	}
	for i := id; i < id+n; i++ {
		if c.seen[i] {
			return fmt.Errorf("page %d is used twice", i)
		}
		c.seen[i] = true
	}
	return nil
}

// header reads the first page of some that belong together, and returns how many they are. The
// bytes are valid until the next call for the same depth.
func (c *checker) header(id uint64, depth int) (b []byte, n uint64, err error) {
	if id < 2 || id >= c.end {
		return nil, 0, fmt.Errorf("page %d is not within the %d of the file", id, c.end)
	}
	if c.bufs[depth] == nil {
		c.bufs[depth] = make([]byte, c.size)
	}
	b = c.bufs[depth]
	if _, err := c.file.ReadAt(b, int64(id)*int64(c.size)); err != nil { //nolint:gosec // within the file
		return nil, 0, fmt.Errorf("page %d: %w", id, err)
	}
	if is := le64(b); is != id {
		return nil, 0, fmt.Errorf("page %d says that it is page %d", id, is)
	}
	n = 1 + le32(b[12:])
	return b, n, c.claim(id, n)
}

// more reads the rest of pages that belong together, up to a number of bytes.
func (c *checker) more(b []byte, id uint64, length int) ([]byte, error) {
	if length <= len(b) {
		return b, nil
	}
	b = make([]byte, length)
	if _, err := c.file.ReadAt(b, int64(id)*int64(c.size)); err != nil { //nolint:gosec // within the file
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// tree walks the tree below a page.
func (c *checker) tree(id uint64, depth int) error {
	if depth >= maxDepth {
		return fmt.Errorf("page %d is too deep in a tree", id)
	}
	b, n, err := c.header(id, depth)
	if err != nil {
		return err
	}
	room := int(n) * c.size //nolint:gosec // within the file
	count := int(binary.LittleEndian.Uint16(b[10:]))
	if b, err = c.more(b, id, min(pageHeader+count*elementSize, room)); err != nil {
		return err
	}
	switch kind := binary.LittleEndian.Uint16(b[8:]); kind {
	case kindBranch:
		err = c.branch(b, count, room, depth)
	case kindLeaf:
		err = c.leaf(b, count, room, depth, func(at, n int) ([]byte, error) {
			whole, err := c.more(b, id, at+n)
			if err != nil {
				return nil, err
			}
			return whole[at : at+n], nil
		})
	default:
		err = fmt.Errorf("it is of the unknown kind %d", kind)
	}
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// outside tells of the element of a page that is not in there.
func outside(i int) error { return fmt.Errorf("element %d is outside", i) }

func (c *checker) branch(b []byte, count, room, depth int) error {
	if count == 0 {
		return errors.New("it has no elements")
	}
	for i := range count {
		at := pageHeader + i*elementSize
		if at+elementSize > room || uint64(at)+le32(b[at:])+le32(b[at+4:]) > uint64(room) { //nolint:gosec // not negative
			return outside(i)
		}
		if err := c.tree(le64(b[at+8:]), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf walks the buckets of a leaf; read returns bytes of it.
func (c *checker) leaf(b []byte, count, room, depth int, read func(at, n int) ([]byte, error)) error {
	for i := range count {
		at := pageHeader + i*elementSize
		if at+elementSize > room {
			return outside(i)
		}
		flags, value, size := le32(b[at:]), uint64(at)+le32(b[at+4:])+le32(b[at+8:]), le32(b[at+12:]) //nolint:gosec // not negative
		switch {
		case value+size > uint64(room): //nolint:gosec // not negative
			return outside(i)
		case flags&^flagBucket != 0:
			return fmt.Errorf("element %d has the unknown flags %d", i, flags)
		case le32(b[at+8:]) == 0:
			return fmt.Errorf("element %d has no key", i)
		case flags == 0:
			continue
		case size < bucketHeader:
			return outside(i)
		}
		bucket, err := read(int(value), int(size)) //nolint:gosec // within the page
		if err == nil {
			err = c.bucket(bucket, depth)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket walks a bucket: a tree, or a leaf within the value.
func (c *checker) bucket(v []byte, depth int) error {
	if root := le64(v); root != 0 {
		return c.tree(root, depth+1)
	}
	v = v[bucketHeader:]
	if len(v) < pageHeader || binary.LittleEndian.Uint16(v[8:]) != kindLeaf {
		return errors.New("a small bucket is no leaf")
	}
	count := int(binary.LittleEndian.Uint16(v[10:]))
	return c.leaf(v, count, len(v), depth+1, func(at, n int) ([]byte, error) { return v[at : at+n], nil })
}

// freelist checks that free pages are in no tree.
func (c *checker) freelist(id uint64) error {
	b, n, err := c.header(id, 0)
	if err != nil {
		return err
	}
	if kind := binary.LittleEndian.Uint16(b[8:]); kind != kindFreelist {
		return fmt.Errorf("page %d is of kind %d and should list free pages", id, kind)
	}
	from, count := pageHeader, uint64(binary.LittleEndian.Uint16(b[10:]))
	if count == 0xffff { // the number didn't fit
		from, count = from+8, le64(b[from:])
	}
	if count > (n*uint64(c.size)-uint64(from))/8 { //nolint:gosec // not negative
		return fmt.Errorf("page %d lists %d free pages, more than fit", id, count)
	}
	if b, err = c.more(b, id, from+int(count)*8); err != nil { //nolint:gosec // within the file
		return err
	}
	for i := range int(count) { //nolint:gosec // within the file
		if err := c.claim(le64(b[from+i*8:]), 1); err != nil {
			return fmt.Errorf("free pages: %w", err)
		}
	}
	return nil
}
