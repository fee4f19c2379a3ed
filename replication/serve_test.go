package replication

import (
	"fmt"
	"hash/maphash"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
)

// served is a Node that can only read one partition, with objects p0, p1, … in the
// state's file.
func served(t testing.TB, objects int) (*Node, *state.Partition) {
	t.Helper()
	st, err := state.OpenStore(filepath.Join(t.TempDir(), "state.db"), state.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	part, err := st.Partition(0)
	if err != nil {
		t.Fatal(err)
	}
	part.Apply(1, 1, state.EncodeOpen(nil, 1, "app@example.org"))
	for i := range objects {
		putAt(part, uint64(i+2), fmt.Sprint("p", i), make([]byte, 256))
	}
	if err := st.Flush(); err != nil {
		t.Fatal(err)
	}
	n := &Node{}
	n.parts.Store(&map[uint32]*state.Partition{0: part})
	return n, part
}

func putAt(part *state.Partition, index uint64, path string, value []byte) {
	part.Apply(index, 1, state.EncodeWrite(nil, 1, state.OwnerOf("app@example.org"), &op.Write{
		Root: "root", Session: 1, Seq: index, Floor: index, Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: value}},
	}))
}

// TestEqualReadsShareAResult: but only with those that were taken together.
func TestEqualReadsShareAResult(t *testing.T) {
	n, part := served(t, 2)
	n.readers = newQueue[ReadRequest]()
	got := make(map[string]int)
	ask := func(count int) {
		var rs []ReadRequest
		for i := range count {
			rs = append(rs, ReadRequest{Read: &op.Read{Kind: op.Get, Root: "root", Path: fmt.Sprint("p", i%2)}, Done: func(r op.ReadResult) {
				got[fmt.Sprint(r.Objects[0].Path, len(r.Objects[0].Value))]++
			}})
		}
		n.readers.put(rs...)
	}
	ask(10)
	// What the second ten must not be given is written before they come.
	n.readers.put(ReadRequest{Read: &op.Read{Kind: op.List, Root: "root", FromStart: true}, Done: func(op.ReadResult) {
		putAt(part, 4, "p0", []byte("new"))
		ask(10)
		n.readers.end()
	}})
	n.serveReads()
	if got["p0256"] != 5 || got["p1256"] != 10 || got["p03"] != 5 {
		t.Errorf("answers %v", got)
	}
	if n.shared.Load() != 16 {
		t.Errorf("%d shared, want 16", n.shared.Load())
	}
}

// BenchmarkServe is what a round of reads costs once it is confirmed.
func BenchmarkServe(b *testing.B) {
	for name, spread := range map[string]int{"one object": 1, "many objects": 10000} {
		for _, share := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/shared=%v", name, share), func(b *testing.B) {
				n, _ := served(b, 10000)
				reads := make([]ReadRequest, 10000/readsAtOnce*readsAtOnce)
				for i := range reads {
					reads[i] = ReadRequest{Read: &op.Read{Kind: op.Get, Root: "root", Path: fmt.Sprint("p", i*7919%spread)}, Done: func(op.ReadResult) {}}
				}
				equal := sharing{seed: maphash.MakeSeed()}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i += readsAtOnce {
					from := i % len(reads)
					some := reads[from : from+readsAtOnce]
					if share {
						equal.serve(n, some)
						continue
					}
					for j := range some {
						some[j].Done(n.readPart(&some[j]))
					}
				}
			})
		}
	}
}
