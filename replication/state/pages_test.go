package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// manyPages makes a file of some hundred pages: objects of a few bytes, and some of
// several pages.
func manyPages(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state")
	s, err := OpenStore(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	f := &feed{t: t, p: testPart(t, s, 3)}
	session := f.open()
	for i := range uint64(600) {
		f.put(session, i+1, 1, fmt.Sprintf("path%d", i*7919%600), strings.Repeat("v", 100+int(i%40/39)*9000))
		if i%200 == 199 {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := int64(binary.LittleEndian.Uint64(newestMeta(bytes.NewReader(b))[40:])) * int64(os.Getpagesize())
	if err := os.Truncate(path, used); err != nil { // without what bbolt allocates beforehand
		t.Fatal(err)
	}
	return path
}

// pagesOf lists the pages of a file by their flags.
func pagesOf(b []byte) map[uint16][]int {
	size := os.Getpagesize()
	kinds := make(map[uint16][]int)
	for at := 2 * size; at+size <= len(b); at += size {
		if binary.LittleEndian.Uint64(b[at:]) == uint64(at/size) {
			flags := binary.LittleEndian.Uint16(b[at+8:])
			kinds[flags] = append(kinds[flags], at)
		}
	}
	return kinds
}

// useAll opens a file and does everything that touches its pages.
func useAll(path string) error {
	s, err := OpenStore(path, Options{NoSync: true})
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := s.Partition(3)
	if err != nil {
		return err
	}
	if res := p.Read(&op.Read{Kind: op.List, Root: "root", FromStart: true, Values: true}); res.Code != op.OK {
		return fmt.Errorf("read: %s", res.Text)
	}
	if _, err = digested(p); err != nil {
		return err
	}
	index, _ := p.Applied()
	p.Apply(index+1, 1, EncodeOpen(nil, 1, "app@example.org"))
	return s.Flush()
}

// TestDamagedPages: a page that makes no sense is told when the file is opened, and
// what to do about it.
func TestDamagedPages(t *testing.T) {
	path := manyPages(t)
	if err := useAll(path); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	meta := newestMeta(bytes.NewReader(sound))
	root := int(binary.LittleEndian.Uint64(meta[16:])) * os.Getpagesize()
	files := t.TempDir()
	damaged, made := "", 0
	// Each in a file of its own: one that was found damaged in use stays locked.
	another := func() {
		os.Remove(damaged)
		made++
		damaged = filepath.Join(files, fmt.Sprint("state", made))
	}
	check := func(what string, content []byte) {
		t.Helper()
		another()
		if err := os.WriteFile(damaged, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := useAll(damaged)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "ringctl replace") || !strings.Contains(err.Error(), damaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	zeroed := func(at, n int) []byte {
		b := bytes.Clone(sound)
		clear(b[at : at+n])
		return b
	}
	check("the root's header", zeroed(root, pageHeader))
	check("the root's elements", zeroed(root+pageHeader, pageElement))
	check("a file cut short", sound[:root])
	// All leaves and branches: of those that are in use the damage is found, and
	// what is not in use does no harm.
	inUse := 0
	for flags, pages := range pagesOf(sound) {
		if flags != leafPage && flags != branchPage && flags != freelistPage {
			t.Fatalf("pages with flags %#x", flags)
		}
		for _, at := range pages {
			another()
			if err := os.WriteFile(damaged, zeroed(at, pageHeader), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := useAll(damaged); errors.Is(err, ErrCorrupt) {
				inUse++
			} else if err != nil {
				t.Errorf("page at %d: %v", at, err)
			}
		}
	}
	if inUse < 20 {
		t.Errorf("%d pages are in use", inUse)
	}
}

// TestDamagedMeta: with the newer of the two the file is as it was a flush before,
// which the log makes up for or the engine refuses; with none it is told.
func TestDamagedMeta(t *testing.T) {
	path := manyPages(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	newer := 0
	if binary.LittleEndian.Uint64(b[pageHeader+48:]) < binary.LittleEndian.Uint64(b[size+pageHeader+48:]) {
		newer = size
	}
	clear(b[newer : newer+80])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := useAll(path); err != nil {
		t.Errorf("with one of two: %v", err)
	}
	clear(b[:2*size])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := useAll(path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with none: %v", err)
	}
}

// TestFlippedBits: whatever bit of a page's header and elements is wrong, nothing
// panics.
func TestFlippedBits(t *testing.T) {
	path := manyPages(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var pages []int
	for _, of := range pagesOf(sound) {
		pages = append(pages, of...)
	}
	slices.Sort(pages)
	rng := rand.New(rand.NewPCG(1, 2))
	files := t.TempDir()
	found := 0
	for i := range 200 {
		damaged := filepath.Join(files, fmt.Sprint("state", i))
		b := bytes.Clone(sound)
		b[pages[rng.IntN(len(pages))]+rng.IntN(pageHeader+8*pageElement)] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(damaged, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if useAll(damaged) != nil {
			found++
		}
		os.Remove(damaged)
	}
	if found == 0 {
		t.Error("no damage was found")
	}
}

// TestPagesDamagedMeanwhile: pages that are overwritten under an open store end it,
// and nothing hangs.
func TestPagesDamagedMeanwhile(t *testing.T) {
	path := manyPages(t)
	for name, use := range map[string]func(s *Store, p *Partition) error{
		"get": func(_ *Store, p *Partition) error {
			if res := p.Read(&op.Read{Kind: op.Get, Root: "root", Path: "path3"}); res.Code != op.Unavailable {
				return fmt.Errorf("%+v", res)
			}
			return nil
		},
		"list": func(_ *Store, p *Partition) error {
			if res := p.Read(&op.Read{Kind: op.List, Root: "root", FromStart: true}); res.Code != op.Unavailable {
				return fmt.Errorf("%+v", res)
			}
			return nil
		},
		"digest": func(_ *Store, p *Partition) error {
			if _, err := digested(p); !errors.Is(err, ErrCorrupt) {
				return fmt.Errorf("%w", err)
			}
			return nil
		},
		"frame": func(_ *Store, p *Partition) error {
			v, err := p.Picture(0)
			if err == nil {
				defer v.Close()
				_, _, err = v.Frame(3)
			}
			if !errors.Is(err, ErrCorrupt) {
				return fmt.Errorf("%w", err)
			}
			return nil
		},
		"flush": func(s *Store, p *Partition) error {
			f := &feed{t: t, p: p}
			f.index, _ = p.Applied()
			p.Apply(f.index+1, 1, EncodeOpen(nil, 1, "app@example.org"))
			if err := s.Flush(); !errors.Is(err, ErrCorrupt) {
				return fmt.Errorf("%w", err)
			}
			return nil
		},
	} {
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(file, sound, 0o600); err != nil {
			t.Fatal(err)
		}
		var fatal error
		s, err := OpenStore(file, Options{NoSync: true, OnFatal: func(err error) { fatal = err }})
		if err != nil {
			t.Fatal(err)
		}
		p := testPart(t, s, 3)
		b := bytes.Clone(sound)
		for _, of := range pagesOf(b) {
			for _, at := range of {
				clear(b[at : at+pageHeader])
			}
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := use(s, p); err != nil || !errors.Is(fatal, ErrCorrupt) || !errors.Is(s.Err(), ErrCorrupt) {
			t.Errorf("%s: %v; fatal %v", name, err, fatal)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}

// freelistOf is the number of the page with the list of free pages.
func freelistOf(b []byte) uint64 {
	return binary.LittleEndian.Uint64(newestMeta(bytes.NewReader(b))[32:])
}

// TestDamagedFreelist: Close leaves a list of free pages; one that names pages that
// are in use, or that there are not, is told.
func TestDamagedFreelist(t *testing.T) {
	path := manyPages(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if freelistOf(sound) == noFreelist {
		t.Fatal("Close has left no list")
	}
	list := int(freelistOf(sound)) * os.Getpagesize()
	count := int(binary.LittleEndian.Uint16(sound[list+10:]))
	if count == 0 || count == manyFree {
		t.Fatalf("%d free pages make no test", count)
	}
	root := binary.LittleEndian.Uint64(newestMeta(bytes.NewReader(sound))[16:])
	first := binary.LittleEndian.Uint64(sound[list+pageHeader:])
	for what, change := range map[string]func(b []byte){
		"a page in use":     func(b []byte) { binary.LittleEndian.PutUint64(b[list+pageHeader:], root) },
		"the list itself":   func(b []byte) { binary.LittleEndian.PutUint64(b[list+pageHeader:], freelistOf(sound)) },
		"a page of no file": func(b []byte) { binary.LittleEndian.PutUint64(b[list+pageHeader:], 1<<40) },
		"a page twice":      func(b []byte) { binary.LittleEndian.PutUint64(b[list+pageHeader+8:], first) },
		"too many": func(b []byte) {
			binary.LittleEndian.PutUint16(b[list+10:], manyFree)
			binary.LittleEndian.PutUint64(b[list+pageHeader:], 1<<40)
		},
		"no list": func(b []byte) { binary.LittleEndian.PutUint16(b[list+8:], leafPage) },
	} {
		b := bytes.Clone(sound)
		change(b)
		damaged := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(damaged, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := useAll(damaged); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "ringctl replace") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCrashHasNoFreelist: what is on the disk while the store is open has no list,
// for that of an earlier Close would be wrong, and can be opened.
func TestCrashHasNoFreelist(t *testing.T) {
	path := manyPages(t)
	s, err := OpenStore(path, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Partition(3)
	if err != nil {
		t.Fatal(err)
	}
	index, _ := p.Applied()
	p.Apply(index+1, 1, EncodeOpen(nil, 1, "app@example.org"))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	crashed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if freelistOf(crashed) != noFreelist {
		t.Error("a flush has written the list")
	}
	copied := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(copied, crashed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := useAll(copied); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}
