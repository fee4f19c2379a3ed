package wal

import (
	"fmt"
	"testing"
)

func benchBatch(entries, size int) *Batch {
	b := &Batch{States: []HardState{{Group: 1, Term: 1, Vote: 1, Commit: 1}}}
	for i := range entries {
		b.Entries = append(b.Entries, Entry{Group: uint32(i), Term: 1, Data: make([]byte, size)})
	}
	return b
}

// BenchmarkAppend appends batches of 256 B entries, each of another group. The
// encoding alone is the variant without a disk.
func BenchmarkAppend(b *testing.B) {
	for _, disk := range []bool{true, false} {
		for _, entries := range []int{1, 64} {
			b.Run(fmt.Sprintf("disk=%v/entries=%d", disk, entries), func(b *testing.B) {
				var fs FS = OSFS{}
				opt := Options{}
				if !disk {
					fs, opt.Faults.SkipSync = discard{OSFS{}}, true
				}
				l, _, err := Open(fs, b.TempDir(), testStore, opt)
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				l.preparer.Wait()
				batch := benchBatch(entries, 256)
				b.SetBytes(int64(entries * 256))
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					for k := range batch.Entries {
						batch.Entries[k].Index = uint64(i + 1)
					}
					if err := l.Append(batch); err != nil {
						b.Fatal(err)
					}
					if i%1000 == 999 {
						all := map[uint32]uint64{}
						for k := range uint32(entries) {
							all[k] = uint64(i + 1)
						}
						if err := l.Release(all); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// discard is a disk that takes no time.
type discard struct{ OSFS }

func (d discard) Create(name string) (File, error) {
	f, err := d.OSFS.Create(name)
	return discardFile{f}, err
}

func (d discard) Open(name string) (File, error) {
	f, err := d.OSFS.Open(name)
	return discardFile{f}, err
}

type discardFile struct{ File }

func (discardFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (discardFile) Allocate(int64) error                   { return nil }
func (discardFile) Sync() error                            { return nil }
