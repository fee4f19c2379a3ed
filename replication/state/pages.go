package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt looks at all pages when it opens a file, in a goroutine of its own: where
// they make no sense it ends the process with a trace that nobody can catch. So
// they are looked at here before. What is known of the format is that of version 2
// (go.etcd.io/bbolt/internal/common/page.go): a page begins with its number (8
// bytes), flags (2), count of elements (2) and of pages that belong to it (4).

const (
	pageHeader    = 16
	pageElement   = 16
	branchPage    = 1
	leafPage      = 2
	freelistPage  = 16
	noFreelist    = 1<<64 - 1 // in place of its page: it is not stored
	manyFree      = 0xFFFF    // in place of the count: it stands before the ids
	bucketElement = 1
	bucketHeader  = 16
	metaSize      = 64
	metaSum       = 56 // bytes of it that are in its checksum
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
)

// pageCheck goes through the tree of a file.
type pageCheck struct {
	f    io.ReaderAt
	size uint64 // of a page
	high uint64 // pages from here on are not used
	seen []byte // a bit a page
	buf  []byte
}

// page is a branch or a leaf to look at, with the bounds of its keys: lo <= key < hi.
type pageRef struct {
	id     uint64
	lo, hi []byte // nil: none
	root   bool   // of a bucket: it may be empty
}

// checkPages goes through all pages of a file that are in use. A new file is sound.
// Errors: ErrCorrupt, those of the file system.
func checkPages(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	meta := newestMeta(f)
	if meta == nil {
		return nil // bbolt says what is wrong
	}
	c := pageCheck{f: f, size: uint64(binary.LittleEndian.Uint32(meta[8:])), high: binary.LittleEndian.Uint64(meta[40:])}
	if info, err := f.Stat(); err != nil {
		return err
	} else if c.high > uint64(info.Size()) {
		return fmt.Errorf("%w: it has %d pages in %d bytes", ErrCorrupt, c.high, info.Size())
	}
	c.seen = make([]byte, c.high/8+1)
	defer prefetch(f)()
	if err := c.walk([]pageRef{{id: binary.LittleEndian.Uint64(meta[16:]), root: true}}); err != nil {
		return err
	}
	if id := binary.LittleEndian.Uint64(meta[32:]); id != noFreelist {
		if err := c.freelist(id); err != nil {
			return fmt.Errorf("%w: page %d: %w", ErrCorrupt, id, err)
		}
	}
	return nil
}

// newestMeta is the newer one of the two that is whole; nil: none is.
func newestMeta(f io.ReaderAt) (newest []byte) {
	for shift := range 15 {
		size := int64(1024) << shift
		for _, at := range [...]int64{0, size} {
			b := make([]byte, metaSize)
			if _, err := f.ReadAt(b, at+pageHeader); err != nil {
				continue
			}
			h := fnv.New64a()
			_, _ = h.Write(b[:metaSum]) // a hash takes all
			whole := binary.LittleEndian.Uint32(b) == boltMagic && binary.LittleEndian.Uint32(b[4:]) == boltVersion &&
				binary.LittleEndian.Uint32(b[8:]) == uint32(size) && binary.LittleEndian.Uint64(b[metaSum:]) == h.Sum64()
			if whole && (newest == nil || binary.LittleEndian.Uint64(b[48:]) > binary.LittleEndian.Uint64(newest[48:])) {
				newest = b
			}
		}
	}
	return newest
}

// walk looks at pages and at those below them.
func (c *pageCheck) walk(left []pageRef) error {
	for len(left) > 0 {
		ref := left[len(left)-1]
		left = left[:len(left)-1]
		below, err := c.look(ref)
		if err != nil {
			return fmt.Errorf("%w: page %d: %w", ErrCorrupt, ref.id, err)
		}
		left = append(left, below...)
	}
	return nil
}

// look checks one page, and lists those below it.
func (c *pageCheck) look(ref pageRef) ([]pageRef, error) {
	p, err := c.page(ref.id)
	if err != nil {
		return nil, err
	}
	return p.elements(ref)
}

// page reads a page's beginning and marks all that belongs to it as used.
func (c *pageCheck) page(id uint64) (p content, err error) {
	if id < 2 || id >= c.high {
		return p, fmt.Errorf("is beyond the %d that there are", c.high)
	}
	if uint64(cap(c.buf)) < c.size {
		c.buf = make([]byte, c.size)
	}
	p = content{from: c.f, at: int64(id * c.size), have: c.buf[:c.size]}
	if _, err := c.f.ReadAt(p.have, p.at); err != nil {
		return p, err
	}
	self, more := binary.LittleEndian.Uint64(p.have), uint64(binary.LittleEndian.Uint32(p.have[12:]))
	if self != id || more >= c.high-id {
		return p, fmt.Errorf("calls itself %d, with %d more", self, more)
	}
	for n := id; n <= id+more; n++ {
		if !c.mark(n) {
			return p, fmt.Errorf("page %d is in two places", n)
		}
	}
	p.size = (more + 1) * c.size
	return p, nil
}

// mark notes a page as used; false: it was before.
func (c *pageCheck) mark(n uint64) bool {
	known := c.seen[n/8]&(1<<(n%8)) != 0
	c.seen[n/8] |= 1 << (n % 8)
	return !known
}

// freelist checks the list of free pages, which the walk has not met. A page in it
// that is in use would be written over.
func (c *pageCheck) freelist(id uint64) error {
	p, err := c.page(id)
	if err != nil {
		return err
	}
	if flags := binary.LittleEndian.Uint16(p.have[8:]); flags != freelistPage {
		return fmt.Errorf("is no list of free pages: flags %#x", flags)
	}
	at, count := uint64(pageHeader), uint64(binary.LittleEndian.Uint16(p.have[10:]))
	if count == manyFree {
		count = binary.LittleEndian.Uint64(p.have[at:])
		at += 8
	}
	if count > c.high {
		return fmt.Errorf("lists %d free pages of %d", count, c.high)
	}
	for range count {
		b, err := p.bytes(at, 8)
		if err != nil {
			return err
		}
		if free := binary.LittleEndian.Uint64(b); free < 2 || free >= c.high || !c.mark(free) {
			return fmt.Errorf("page %d is listed as free and can't be", free)
		}
		at += 8
	}
	return nil
}

// content is that of a page, or of a bucket within one.
type content struct {
	from io.ReaderAt
	at   int64
	size uint64
	have []byte // the beginning
}

func (p *content) bytes(at, n uint64) ([]byte, error) {
	if at > p.size || n > p.size-at {
		return nil, fmt.Errorf("an element ends at %d of %d bytes", at+n, p.size)
	}
	if at+n <= uint64(len(p.have)) {
		return p.have[at : at+n], nil
	}
	b := make([]byte, n)
	_, err := p.from.ReadAt(b, p.at+int64(at))
	return b, err
}

// elements checks order and extent of a page's elements.
func (p *content) elements(ref pageRef) (below []pageRef, err error) {
	flags, count := binary.LittleEndian.Uint16(p.have[8:]), uint64(binary.LittleEndian.Uint16(p.have[10:]))
	switch {
	case flags != branchPage && flags != leafPage:
		return nil, fmt.Errorf("is neither branch nor leaf: flags %#x", flags)
	case count == 0 && !(ref.root && flags == leafPage):
		return nil, errors.New("is empty")
	}
	before := ref.lo
	for i := range count {
		at := pageHeader + i*pageElement
		e, err := p.bytes(at, pageElement)
		if err != nil {
			return nil, err
		}
		word := func(n int) uint64 { return uint64(binary.LittleEndian.Uint32(e[n:])) }
		pos, size := at+word(0), word(4)
		if flags == leafPage {
			pos, size = at+word(4), word(8)
		}
		var child pageRef
		if flags == branchPage {
			child.id = binary.LittleEndian.Uint64(e[8:])
		}
		value, isBucket := word(12), flags == leafPage && word(0)&bucketElement != 0
		key, err := p.bytes(pos, size)
		if err != nil {
			return nil, err
		}
		if size == 0 {
			return nil, fmt.Errorf("key %d is empty", i)
		}
		order := bytes.Compare(before, key)
		if order > 0 || order == 0 && i > 0 || ref.hi != nil && bytes.Compare(key, ref.hi) >= 0 {
			return nil, fmt.Errorf("key %d is out of order", i)
		}
		before = key
		switch {
		case flags == branchPage:
			child.lo, child.hi = bytes.Clone(key), ref.hi // the buffer is used again
			if len(below) > 0 {
				below[len(below)-1].hi = child.lo
			}
			below = append(below, child)
		case isBucket:
			child, err = p.bucket(pos+size, value)
			if err != nil {
				return nil, fmt.Errorf("bucket %q: %w", key, err)
			}
			if child.id != 0 {
				below = append(below, child)
			}
		default:
			if pos+size > p.size || value > p.size-pos-size {
				return nil, fmt.Errorf("the value of key %d ends outside", i)
			}
		}
	}
	return below, nil
}

// bucket checks the value of a bucket: where its pages begin, or all of it if it is
// small.
func (p *content) bucket(at, size uint64) (root pageRef, err error) {
	b, err := p.bytes(at, size)
	if err != nil {
		return root, err
	}
	if size < bucketHeader {
		return root, errors.New("is cut short")
	}
	root = pageRef{id: binary.LittleEndian.Uint64(b), root: true}
	if root.id != 0 {
		return root, nil
	}
	if b = b[bucketHeader:]; len(b) < pageHeader {
		return root, errors.New("is cut short")
	}
	in := content{from: p.from, have: b, size: uint64(len(b))}
	_, err = in.elements(root)
	return root, err
}
