package bolt

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// BenchmarkUpdate writes records of 256 bytes, each writer those of an owner of its own.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var commits atomic.Int64
			s := openOrFail(b, b.TempDir(), faults{commit: func(commit func() error) error {
				commits.Add(1)
				return commit()
			}})
			value := make([]byte, 256)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for w := range writers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						err := s.Update(b.Context(), fmt.Sprint("user", w), func(tx store.Tx) error {
							return tx.Put("c", fmt.Appendf(nil, "%08d", n), value)
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			b.ReportMetric(float64(b.N)/float64(commits.Load()), "updates/commit")
		})
	}
}

// BenchmarkGet reads a record in a view of its own.
func BenchmarkGet(b *testing.B) {
	s := openOrFail(b, b.TempDir(), faults{})
	put(b, s, "o", "k", "value")
	b.ReportAllocs()
	for b.Loop() {
		err := s.View(b.Context(), "o", func(r store.Reader) error {
			_, err := r.Get("c", []byte("k"))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
