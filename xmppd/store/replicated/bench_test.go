package replicated

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

// cpu is what the process has used so far.
func cpu(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// on runs a benchmark on bbolt's store and on clusters in this process, whose servers' work is counted together.
func on(b *testing.B, run func(b *testing.B, s store.Store)) {
	b.Run("bolt", func(b *testing.B) {
		s, err := bolt.Open(b.TempDir(), "example.net")
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		run(b, s)
	})
	for _, servers := range []int{1, 3} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			c := newCluster(b, b.TempDir(), nil)
			defer c.close()
			c.found(servers)
			run(b, c.store(1))
		})
	}
}

// BenchmarkUpdate: writers that each put 256 bytes into a record of an owner of their own.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			on(b, func(b *testing.B, s store.Store) {
				value := make([]byte, 256)
				var next atomic.Int64
				b.SetParallelism(max(1, writers/2))
				before := cpu(b)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					o := owner(int(next.Add(1)) % writers)
					for pb.Next() {
						if err := s.Update(b.Context(), o, func(tx store.Tx) error { return tx.Put("c", []byte("k"), value) }); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
			})
		})
	}
}

// BenchmarkView: reading one record of 256 bytes.
func BenchmarkView(b *testing.B) {
	on(b, func(b *testing.B, s store.Store) {
		if err := s.Update(b.Context(), "o", func(tx store.Tx) error { return tx.Put("c", []byte("k"), make([]byte, 256)) }); err != nil {
			b.Fatal(err)
		}
		before := cpu(b)
		for b.Loop() {
			err := s.View(b.Context(), "o", func(r store.Reader) error { _, err := r.Get("c", []byte("k")); return err })
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	})
}

// BenchmarkIdle: what a server of three uses when nothing is asked of it; 64 partitions, the usual clock.
func BenchmarkIdle(b *testing.B) {
	c := newCluster(b, b.TempDir(), func(o *Options) { o.Tick, o.Partitions = 0, 64 })
	defer c.close()
	c.grow(3)
	eventually(b, "the groups sleep", func() bool { return c.store(1).node.Status().Awake == 0 })
	before := cpu(b)
	for b.Loop() {
		time.Sleep(time.Second) // what is measured is what happens meanwhile
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N)/3, "cpu-us/s/server")
}
