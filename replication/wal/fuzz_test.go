package wal

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzRecover overwrites a log of two segments at some places, as much as wanted
// with right checksums. Recovery must not panic, must say what is wrong or give
// entries that were appended, in order, and must be able to go on.
func FuzzRecover(f *testing.F) {
	f.Add(uint32(5000), []byte{1}, false, uint8(0))
	f.Add(uint32(dataStart+3*recordSize), make([]byte, 600), false, uint8(1))
	f.Add(uint32(dataStart+4), []byte{9, 9, 9, 9, 255, 255, 255, 255}, true, uint8(0))
	f.Add(uint32(dataStart+recHeaderSize), []byte{0, 0, 255, 255, 255, 15}, true, uint8(1))
	f.Add(uint32(12), []byte{2}, false, uint8(1))
	opt := Options{SegmentSize: 16 << 10, Inline: true, Rand: &zeroRand{}}
	f.Fuzz(func(t *testing.T, at uint32, junk []byte, mend bool, which uint8) {
		fs := NewMemFS()
		l, _, err := Open(fs, "wal", testStore, opt)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(15) {
			mustAppend(t, l, entry(1, i+1))
		}
		salts := map[string]uint32{segName(2): l.sum}
		l.Close()
		file := segName(uint64(which%2) + 1)
		change(t, fs, "wal/"+file, func(data []byte) {
			off := int(at) % len(data)
			copy(data[off:], junk)
			if sum, ok := salts[file]; ok && mend {
				mendRecord(data, off, sum)
			}
		})
		l, rec, err := Open(fs, "wal", testStore, opt)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerFormat) && !errors.Is(err, ErrForeign) {
				t.Fatalf("unexpected kind of error: %v", err)
			}
			return
		}
		defer l.Close()
		g := rec.Groups[1]
		if g == nil {
			return
		}
		for i, e := range g.Entries {
			if i > 0 && e.Index != g.Entries[i-1].Index+1 {
				t.Fatalf("entry %d after %d", e.Index, g.Entries[i-1].Index)
			}
			if !mend && !bytes.Equal(e.Data, entry(1, e.Index).Entries[0].Data) {
				t.Fatalf("entry %d was never appended", e.Index)
			}
		}
		if n := len(g.Entries); n > 0 {
			mustAppend(t, l, entry(1, g.Entries[n-1].Index+1))
		}
	})
}

// mendRecord makes the checksums of the record around off right, so that the
// decoder behind them is reached.
func mendRecord(data []byte, off int, sum uint32) {
	if off < dataStart {
		return
	}
	i := (off - dataStart) / recordSize
	rec := data[dataStart+i*recordSize:]
	if len(rec) < recordSize {
		return
	}
	putRecordHeader(rec, len(encodeBatch(nil, entry(1, 1))), sum, 2, uint64(12+i))
}
