package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var small = Options{SegmentSize: 16 << 10, Inline: true}

// mustOpen opens the log in "wal" of a file system, or in the test's directory.
func mustOpen(t testing.TB, fs FS, opt Options) (*Log, *Recovered) {
	t.Helper()
	l, rec, err := Open(fs, "wal", testStore, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, rec
}

func mustAppend(t testing.TB, l *Log, b *Batch) {
	t.Helper()
	if err := l.Append(b); err != nil {
		t.Fatal(err)
	}
}

// entry is a batch with one entry of a thousand bytes.
func entry(group uint32, index uint64) *Batch {
	return &Batch{Entries: []Entry{{Group: group, Index: index, Term: 1, Data: bytes.Repeat([]byte{byte(index)}, 1000)}}}
}

// fill appends entries first..last of group 1, then closes the log.
func fill(t testing.TB, fs FS, first, last uint64) {
	t.Helper()
	l, _ := mustOpen(t, fs, small)
	for i := first; i <= last; i++ {
		mustAppend(t, l, entry(1, i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// change edits a file in place.
func change(t *testing.T, fs FS, name string, edit func(data []byte)) {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	edit(data)
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// A record of entry() takes recordSize bytes; a segment of 16 KiB holds 11.
const recordSize = 1048

func TestDamage(t *testing.T) {
	flip := func(at int) func([]byte) { return func(b []byte) { b[at] ^= 0x40 } }
	reseal := func(edit func([]byte)) func([]byte) {
		return func(b []byte) {
			edit(b)
			binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:segHeaderSize], castagnoli))
		}
	}
	const first, second = "wal/0000000000000001.wal", "wal/0000000000000002.wal"
	for _, tc := range []struct {
		name string
		file string
		edit func(data []byte)
		want error  // nil: recovered with a cut
		text string // part of the error
		last uint64 // entry recovered, of 15
	}{
		{"flipped byte in a payload", first, flip(dataStart + 3*recordSize + 500), ErrCorrupt, "records 4 to 11", 0},
		{"flipped byte in a record header", first, flip(dataStart + 3*recordSize + 9), ErrCorrupt, "records 4 to 11", 0},
		{"flipped byte in the last segment", second, flip(dataStart + 500), ErrCorrupt, "wal/0000000000000002.wal at offset 4096", 0},
		{"flipped length", second, flip(dataStart + recordSize + 11), ErrCorrupt, "at offset 5144", 0},
		{"two records wiped out", second, func(b []byte) { clear(b[dataStart : dataStart+2*recordSize]) }, ErrCorrupt, "at offset 4096", 0},
		{"flipped byte in the last record", second, flip(dataStart + 3*recordSize + 500), nil, "", 14},
		{"torn last record", second, func(b []byte) { clear(b[dataStart+3*recordSize+300 : dataStart+4*recordSize]) }, nil, "", 14},
		{"end of an earlier segment lost", first, func(b []byte) { clear(b[dataStart+10*recordSize:]) }, ErrCorrupt, "records 11 to 11", 0},
		{"segment header", second, flip(30), ErrCorrupt, "wal/0000000000000002.wal at offset 0", 0},
		{"flipped version", first, flip(12), ErrCorrupt, "at offset 0", 0},
		{"newer format", first, reseal(func(b []byte) { b[12]++ }), ErrNewerFormat, "newer program", 0},
		{"foreign store", first, reseal(func(b []byte) { b[20]++ }), ErrForeign, "put back", 0},
		{"segment under another's name", first, reseal(func(b []byte) { b[32] = 9 }), ErrCorrupt, "holds segment 9", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := NewMemFS()
			fill(t, fs, 1, 15)
			if err := fs.Remove("wal/" + stopFile); err != nil { // as if the node had crashed
				t.Fatal(err)
			}
			change(t, fs, tc.file, tc.edit)
			l, rec, err := Open(fs, "wal", testStore, small)
			if tc.want != nil {
				if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
					t.Fatalf("got %v, want %v with %q", err, tc.want, tc.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			want := Cut{File: tc.file, Offset: dataStart + 3*recordSize}
			if rec.Cut == nil || *rec.Cut != want {
				t.Errorf("cut %+v, want %+v", rec.Cut, want)
			}
			e := rec.Groups[1].Entries
			if n := e[len(e)-1].Index; n != tc.last {
				t.Errorf("last entry %d, want %d", n, tc.last)
			}
			// The cut is gone for good.
			mustAppend(t, l, entry(1, tc.last+1))
			l.Close()
			if _, rec := mustOpen(t, fs, small); rec.Cut != nil || len(rec.Groups[1].Entries) != 15 {
				t.Errorf("reopened: cut %+v, %d entries", rec.Cut, len(rec.Groups[1].Entries))
			}
		})
	}
}

func TestMissingSegment(t *testing.T) {
	fs := NewMemFS()
	fill(t, fs, 1, 30)
	if err := fs.Remove("wal/0000000000000002.wal"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(fs, "wal", testStore, small); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "0000000000000002.wal is missing") {
		t.Errorf("got %v", err)
	}
}

// TestRecycle: released segments are used again, and what they held before is
// never taken for records.
func TestRecycle(t *testing.T) {
	fs := NewMemFS()
	l, _ := mustOpen(t, fs, small)
	mustAppend(t, l, &Batch{States: []HardState{{Group: 9, Term: 4, Vote: 2}}})
	for i := range uint64(200) {
		mustAppend(t, l, entry(1, i+1))
		if err := l.Release(map[uint32]uint64{1: i}); err != nil {
			t.Fatal(err)
		}
	}
	if st := l.Stats(); st.Segments > 2 || st.Spares > maxSpares || fs.Used() > 5*small.SegmentSize || st.Bytes != fs.Used() {
		t.Errorf("%+v, %d bytes used", st, fs.Used())
	}
	l.Close()
	_, rec := mustOpen(t, fs, small)
	if rec.Cut != nil {
		t.Errorf("cut %+v in a log that was closed", rec.Cut)
	}
	e := rec.Groups[1].Entries
	if len(e) == 0 || e[len(e)-1].Index != 200 || e[0].Index > 200 {
		t.Errorf("%d entries recovered", len(e))
	}
	if want := (HardState{Group: 9, Term: 4, Vote: 2}); rec.Groups[9].HardState != want {
		t.Errorf("hard state %+v went with its segment", rec.Groups[9].HardState)
	}
}

func TestPinned(t *testing.T) {
	fs := NewMemFS()
	l, _ := mustOpen(t, fs, small)
	mustAppend(t, l, entry(7, 1))
	for i := range uint64(40) {
		mustAppend(t, l, entry(1, i+1))
	}
	if err := l.Release(map[uint32]uint64{1: 40}); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.PinnedBy != 7 || st.PinnedSegments != 4 || st.Segments != 4 {
		t.Errorf("%+v, want 4 segments pinned by group 7", st)
	}
	if err := l.Release(map[uint32]uint64{1: 40, 7: 1}); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.PinnedSegments != 0 || st.Segments != 1 {
		t.Errorf("%+v, want the active segment only", st)
	}
}

// TestLargeBatch: a batch larger than a segment is whole, too.
func TestLargeBatch(t *testing.T) {
	fs := NewMemFS()
	l, _ := mustOpen(t, fs, small)
	big := &Batch{}
	for i := range uint64(100) {
		big.Entries = append(big.Entries, entry(1, i+1).Entries...)
	}
	mustAppend(t, l, big)
	mustAppend(t, l, entry(1, 101))
	l.Close()
	l, rec := mustOpen(t, fs, small)
	if n := len(rec.Groups[1].Entries); n != 101 {
		t.Errorf("%d entries", n)
	}
	mustAppend(t, l, entry(1, 102))
	for i := range uint64(20) {
		mustAppend(t, l, entry(1, 103+i))
	}
	if err := l.Release(map[uint32]uint64{1: 122}); err != nil {
		t.Fatal(err)
	}
	if st := l.Stats(); st.Segments != 1 || st.Bytes != fs.Used() {
		t.Errorf("%+v, %d used", st, fs.Used())
	}
}

// TestSyncErrorIsFinal: after a failed sync nothing is acknowledged any more.
func TestSyncErrorIsFinal(t *testing.T) {
	for _, op := range []Op{OpWrite, OpSync} {
		fs := NewMemFS()
		l, _ := mustOpen(t, fs, small)
		mustAppend(t, l, entry(1, 1))
		fail := true
		fs.Inject(func(o Op, _ string) error {
			if o == op && fail {
				fail = false
				return syscall.EIO
			}
			return nil
		})
		for i := range 3 {
			if err := l.Append(entry(1, 2)); !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
				t.Errorf("operation %d, append %d: %v", op, i, err)
			}
		}
		if err := l.Release(nil); !errors.Is(err, ErrFailed) {
			t.Errorf("release: %v", err)
		}
	}
}

// TestFull: entries are refused before anything is written, votes still go
// through, and everything works again when there is room.
func TestFull(t *testing.T) {
	for _, inline := range []bool{true, false} {
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) {
			opt := small
			opt.Inline = inline
			fs := NewMemFS()
			fs.SetCapacity(3 * opt.SegmentSize)
			l, _ := mustOpen(t, fs, opt)
			last := uint64(0)
			var err error
			for err == nil {
				l.preparer.Wait()
				if err = l.Append(entry(1, last+1)); err == nil {
					last++
				}
			}
			if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) || !l.Stats().Full || last < 22 {
				t.Fatalf("after %d entries: %v, %+v", last, err, l.Stats())
			}
			state := HardState{Group: 1, Term: 8, Vote: 3, Commit: last}
			mustAppend(t, l, &Batch{States: []HardState{state}})
			if err := l.Append(entry(1, last+1)); !errors.Is(err, ErrFull) {
				t.Fatalf("still full: %v", err)
			}
			fs.SetCapacity(4 * opt.SegmentSize)
			mustAppend(t, l, entry(1, last+1))
			l.preparer.Wait()
			if l.Stats().Full {
				t.Error("still full with room")
			}
			l.Close()
			_, rec := mustOpen(t, fs, opt)
			if g := rec.Groups[1]; g.HardState != state || uint64(len(g.Entries)) != last+1 {
				t.Errorf("recovered %+v and %d entries, want %+v and %d", g.HardState, len(g.Entries), state, last+1)
			}
		})
	}
}

// TestReleaseMakesRoom: on a full disk, releasing segments is enough.
func TestReleaseMakesRoom(t *testing.T) {
	fs := NewMemFS()
	fs.SetCapacity(3 * small.SegmentSize)
	l, _ := mustOpen(t, fs, small)
	last := uint64(0)
	for {
		if err := l.Append(entry(1, last+1)); errors.Is(err, ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		last++
	}
	if err := l.Release(map[uint32]uint64{1: last}); err != nil {
		t.Fatal(err)
	}
	if l.Stats().Full {
		t.Error("still full")
	}
	mustAppend(t, l, entry(1, last+1))
}

func TestNoRoomAtAll(t *testing.T) {
	fs := NewMemFS()
	fs.SetCapacity(1000)
	if _, _, err := Open(fs, "wal", testStore, small); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	if names, _ := fs.List("wal"); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// TestGap: a batch that does not continue the log is a defect of the caller.
func TestGap(t *testing.T) {
	for name, b := range map[string]*Batch{
		"gap":                entry(1, 7),
		"below the snapshot": entry(2, 10),
	} {
		l, _ := mustOpen(t, NewMemFS(), small)
		mustAppend(t, l, &Batch{Entries: entry(1, 5).Entries, Snapshots: []Snapshot{{Group: 2, Index: 10, Term: 1}}})
		if err := l.Append(b); !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.Append(entry(1, 6)); !errors.Is(err, ErrFailed) {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// TestOnDisk runs on the operating system's files, with the goroutine that
// prepares segments.
func TestOnDisk(t *testing.T) {
	dir := t.TempDir() + "/data/wal"
	open := func() (*Log, *Recovered) {
		l, rec, err := Open(OSFS{}, dir, testStore, Options{SegmentSize: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return l, rec
	}
	const n = 300
	for life := range uint64(3) {
		l, rec := open()
		if life > 0 {
			e := rec.Groups[1].Entries
			if rec.Cut != nil || e[len(e)-1].Index != life*n || !bytes.Equal(e[len(e)-1].Data, entry(1, life*n).Entries[0].Data) {
				t.Fatalf("life %d: cut %v, %d entries", life, rec.Cut, len(e))
			}
		}
		for i := life*n + 1; i <= life*n+n; i++ {
			mustAppend(t, l, entry(1, i))
			if i%50 == 0 {
				if err := l.Release(map[uint32]uint64{1: i - 20}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(entry(1, 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("append after close: %v", err)
		}
	}
	names, err := OSFS{}.List(dir)
	if err != nil || len(names) > 6 || !slices.ContainsFunc(names, func(s string) bool { return strings.HasSuffix(s, segSuffix) }) {
		t.Errorf("files %v, %v", names, err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	l, _, err := Open(discard{OSFS{}}, t.TempDir(), testStore, Options{Faults: Faults{SkipSync: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := benchBatch(64, 256)
	index := uint64(0)
	allocs := testing.AllocsPerRun(200, func() {
		index++
		for i := range b.Entries {
			b.Entries[i].Index = index
		}
		mustAppend(t, l, b)
	})
	if allocs > 0.5 {
		t.Errorf("%v allocations an append of 64 entries", allocs)
	}
}

// TestNoRoomForName: a directory may need a block for a new name.
func TestNoRoomForName(t *testing.T) {
	fs := NewMemFS()
	l, _ := mustOpen(t, fs, small)
	full := true
	fs.Inject(func(op Op, name string) error {
		if op == OpRename && full {
			return syscall.ENOSPC
		}
		return nil
	})
	last := uint64(0)
	var err error
	for err == nil {
		if err = l.Append(entry(1, last+1)); err == nil {
			last++
		}
	}
	if !errors.Is(err, ErrFull) || last != 11 {
		t.Fatalf("after %d entries: %v", last, err)
	}
	full = false
	mustAppend(t, l, entry(1, last+1))
	full = true
	if err := l.Release(map[uint32]uint64{1: last}); err != nil {
		t.Fatalf("release by removing instead: %v", err)
	}
	if st := l.Stats(); st.Segments != 1 || st.Bytes != fs.Used() {
		t.Errorf("%+v, %d bytes used", st, fs.Used())
	}
}
