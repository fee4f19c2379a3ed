package state

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// ofFormat1 takes out of a command what version 1 did not have: the owner and the
// condition on the root. A partition that gets only such ones keeps no history.
func ofFormat1(cmd []byte) []byte {
	number := func(at int) int {
		_, n := binary.Uvarint(cmd[at:])
		return at + n
	}
	head := number(2)
	owner := head + len(Owner{})
	cond := number(number(number(owner))) // behind session, sequence and floor
	out := append([]byte{1}, cmd[1:head]...)
	out = append(out, cmd[owner:cond]...)
	return append(out, cmd[cond+1:]...)
}

// keeping is what a partition of BenchmarkApplyKeeping keeps besides the objects.
type keeping struct {
	name    string
	format1 bool
	indexes []ring.Index
	ttl     int64
}

// begin is a partition whose session was opened by a command of version 1.
func (k *keeping) begin(b *testing.B, s *Store) *Partition {
	b.Helper()
	p, err := s.Partition(8)
	if err != nil {
		b.Fatal(err)
	}
	open := EncodeOpen(nil, 1, "app@example.org")
	open[0] = 1
	if r := p.Apply(1, 1, open); r.Code != op.OK {
		b.Fatal(r)
	}
	return p
}

// commands are puts of 256 B of JSON under random roots, one a millisecond.
func (k *keeping) commands(n, roots int, from uint64) [][]byte {
	rng := rand.New(rand.NewPCG(1, from))
	pad := make([]byte, 210)
	cmds := make([][]byte, n)
	for i := range cmds {
		for j := range pad {
			pad[j] = 'a' + byte(rng.IntN(26))
		}
		seq := from + uint64(i)
		cmds[i] = EncodeWrite(nil, int64(seq), app, &op.Write{
			Root: fmt.Sprintf("bench/key-%08d", rng.IntN(roots)), Session: 1, Seq: seq, Floor: seq - min(seq-1, 64),
			Mutations: []op.Mutation{{Kind: op.Put, TTL: k.ttl, Value: fmt.Appendf(nil, `{"pad":"%s","city":"city-%06d"}`, pad, rng.IntN(1000))}},
		})
		if k.format1 {
			cmds[i] = ofFormat1(cmds[i])
		}
	}
	return cmds
}

// cpuTime is what this process has computed: other programs do not show in it.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkApplyKeeping puts 256 B over 100,000 stored objects and flushes each
// 20,000 (not measured), in a partition that keeps nothing but objects, a history
// as every partition does since format 2, and with it an index of a field, or times
// of expiry that do not come or that all come. `make bench-apply` compares them.
func BenchmarkApplyKeeping(b *testing.B) {
	const stored, round = 100_000, 20_000
	for _, k := range []keeping{
		{name: "objects", format1: true},
		{name: "history"},
		{name: "index", indexes: []ring.Index{{Name: "city", ID: 1, Prefix: "bench/", Path: "*", Field: "city"}}},
		{name: "ttl", ttl: 1 << 40},
		{name: "expiring", ttl: 10_000},
	} {
		b.Run("keeps="+k.name, func(b *testing.B) {
			s, p := benchPartition(b)
			if k.format1 {
				p = k.begin(b, s)
			}
			index := uint64(1)
			apply := func(cmds ...[]byte) {
				for _, cmd := range cmds {
					index++
					if r := p.Apply(index, 1, cmd); r.Code != op.OK {
						b.Fatal(r)
					}
				}
			}
			flush := func() {
				if err := s.Flush(); err != nil {
					b.Fatal(err)
				}
			}
			if len(k.indexes) > 0 {
				apply(EncodeIndexes(nil, 1, 1, k.indexes))
			}
			for range stored / round {
				apply(k.commands(round, stored, index)...)
				flush()
			}
			if p.history.begun == k.format1 {
				b.Fatal("a history is kept where none was wanted, or none where one was")
			}
			b.ReportAllocs()
			b.ResetTimer()
			used := time.Duration(0)
			for n := 0; n < b.N; n += round {
				b.StopTimer()
				cmds := k.commands(min(round, b.N-n), stored, index)
				flush()
				before := cpuTime(b)
				b.StartTimer()
				apply(cmds...)
				used += cpuTime(b) - before
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
