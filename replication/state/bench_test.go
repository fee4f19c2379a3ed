package state

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// benchPartition is an empty partition on a real disk with one open session.
func benchPartition(b *testing.B) (*Store, *Partition) {
	b.Helper()
	s, err := OpenStore(filepath.Join(b.TempDir(), "state"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	p, err := s.Partition(7)
	if err != nil {
		b.Fatal(err)
	}
	p.Apply(1, 1, EncodeOpen(nil, 1, "app@example.org"))
	return s, p
}

// benchCommands are puts of 256 B under random roots, in the order of a client
// with 64 operations in flight.
func benchCommands(n, roots int, from uint64) [][]byte {
	rng := rand.New(rand.NewPCG(1, from))
	value := make([]byte, 256)
	cmds := make([][]byte, n)
	for i := range cmds {
		seq := from + uint64(i)
		cmds[i] = EncodeWrite(nil, int64(seq), app, &op.Write{
			Root: fmt.Sprintf("bench/key-%08d", rng.IntN(roots)), Session: 1,
			Seq: seq, Floor: seq - min(seq-1, 64),
			Mutations: []op.Mutation{{Kind: op.Put, Value: value}},
		})
	}
	return cmds
}

// BenchmarkApply puts 256 B: into an empty overlay with an empty file behind it
// (new), and with a full file behind it (stored).
func BenchmarkApply(b *testing.B) {
	const round = 50_000
	for _, stored := range []bool{false, true} {
		b.Run(map[bool]string{false: "new", true: "stored"}[stored], func(b *testing.B) {
			s, p := benchPartition(b)
			index := uint64(1)
			apply := func(cmds [][]byte) {
				for _, cmd := range cmds {
					index++
					if r := p.Apply(index, 1, cmd); r.Code != op.OK {
						b.Fatal(r)
					}
				}
			}
			if stored {
				apply(benchCommands(round, round, index))
				if err := s.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += round {
				b.StopTimer()
				cmds := benchCommands(min(round, b.N-n), round, index)
				if n > 0 {
					if err := s.Flush(); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				apply(cmds)
			}
		})
	}
}

// BenchmarkFlush writes 50,000 objects of 256 B over as many stored ones.
func BenchmarkFlush(b *testing.B) {
	s, p := benchPartition(b)
	index := uint64(1)
	for range b.N {
		b.StopTimer()
		for _, cmd := range benchCommands(50_000, 100_000, index) {
			index++
			p.Apply(index, 1, cmd)
		}
		b.StartTimer()
		if err := s.Flush(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet reads 256 B from bbolt and from the overlay.
func BenchmarkGet(b *testing.B) {
	for _, flushed := range []bool{true, false} {
		b.Run(map[bool]string{true: "stored", false: "overlay"}[flushed], func(b *testing.B) {
			s, p := benchPartition(b)
			for i, cmd := range benchCommands(50_000, 50_000, 1) {
				p.Apply(uint64(i)+2, 1, cmd)
			}
			if flushed {
				if err := s.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			roots := make([]string, 50_000)
			for i := range roots {
				roots[i] = fmt.Sprintf("bench/key-%08d", i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				r := p.Read(&op.Read{Kind: op.Get, Root: roots[i*7919%len(roots)]})
				if r.Code != op.OK && r.Code != op.NotFound {
					b.Fatal(r)
				}
			}
		})
	}
}
