package replication

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// benchWriters measures durable writes through three nodes on one disk: each
// writer has one write of 256 bytes under way.
func benchWriters(b *testing.B, writers, partitions int) {
	c := newTestCluster(b, 3, partitions, nil)
	value := make([]byte, 256)
	type writer struct {
		group uint32
		sess  op.Session
		node  *Node
	}
	ws := make([]writer, writers)
	for i := range ws {
		g := uint32(i % partitions)
		ws[i] = writer{group: g, sess: c.session(g), node: c.leader(g)}
	}
	eventually(b, "leaders are where the table wants them", func() bool {
		for i := range ws {
			if l, ok := ws[i].node.LeaderOf(ws[i].group); !ok || l != c.doc.Table[ws[i].group][0] {
				ws[i].node = c.leader(ws[i].group)
				return false
			}
		}
		return true
	})
	var next atomic.Int64
	cpu, sends := cpuTime(b), c.net.sends.Load()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range ws {
		wg.Go(func() {
			w := &ws[i]
			for seq := uint64(1); next.Add(1) <= int64(b.N); seq++ {
				for {
					res := propose(w.node, w.group, state.EncodeWrite(nil, time.Now().UnixMilli(), state.OwnerOf("app@example.org"), &op.Write{
						Root: "root", Session: w.sess, Seq: seq, Floor: seq,
						Mutations: []op.Mutation{{Kind: op.Put, Path: string(rune('a' + i)), Value: value}},
					}))
					if res.Code == op.OK {
						break
					}
					w.node = c.leader(w.group) // a machine under load elects now and then
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(c.net.sends.Load()-sends)/float64(b.N), "batches/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
	var appends uint64
	for i := range c.dirs {
		appends += c.node(i).Status().WAL.Appends
	}
	b.ReportMetric(float64(appends)/b.Elapsed().Seconds()/3, "fsyncs/s/node")
}

func BenchmarkCluster1Writer(b *testing.B)    { benchWriters(b, 1, 1) }
func BenchmarkCluster64Writers(b *testing.B)  { benchWriters(b, 64, 64) }
func BenchmarkCluster256Writers(b *testing.B) { benchWriters(b, 256, 271) }

// benchReaders measures linearizable reads, one under way each reader.
func benchReaders(b *testing.B, readers, partitions int) {
	c := newTestCluster(b, 3, partitions, nil)
	nodes := make([]*Node, partitions)
	for g := range nodes {
		s := c.session(uint32(g))
		if res := c.write(uint32(g), put(s, 1, "root", "p", "value")); res.Code != op.OK {
			b.Fatalf("write: %+v", res)
		}
		nodes[g] = c.leader(uint32(g))
	}
	var next atomic.Int64
	cpu, sends := cpuTime(b), c.net.sends.Load()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			g := uint32(i % partitions)
			for next.Add(1) <= int64(b.N) {
				if res := read(nodes[g], g, get("root", "p")); res.Code == op.Redirect {
					nodes[g] = c.leader(g)
				} else if res.Code != op.OK {
					b.Errorf("read: %+v", res)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(c.net.sends.Load()-sends)/float64(b.N), "batches/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
}

func BenchmarkCluster64Readers(b *testing.B) { benchReaders(b, 64, 64) }

// BenchmarkIdle measures three nodes with 271 sleeping groups for 2 s an iteration.
func BenchmarkIdle(b *testing.B) {
	c := newTestCluster(b, 3, 271, nil)
	c.waitPreferred()
	c.waitAsleep()
	const span = 2 * time.Second
	cpu := cpuTime(b)
	for b.Loop() {
		time.Sleep(span) // the time that is measured
	}
	b.ReportMetric(100*float64(cpuTime(b)-cpu)/float64(b.N)/float64(span)/3, "%core/node")
}

func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
