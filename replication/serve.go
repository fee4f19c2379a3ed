package replication

import (
	"hash/maphash"

	"github.com/rosterdb/rosterdb/internal/op"
)

// readsAtOnce is how many reads a reader takes at a time, and so among how many
// equal ones are looked for.
const readsAtOnce = 64

// serveReads answers reads that are confirmed and applied.
func (n *Node) serveReads() {
	var buf []ReadRequest
	equal := sharing{seed: maphash.MakeSeed()}
	for {
		buf = n.readers.take(buf, readsAtOnce)
		if len(buf) == 0 {
			return
		}
		equal.serve(n, buf)
		clear(buf)
	}
}

// sharing finds equal Gets among those that are taken together, so that a hot
// object is read once for many. All of them were confirmed before the first is
// read: the state that it sees is new enough for every one.
type sharing struct {
	seed    maphash.Seed
	table   [2 * readsAtOnce]uint8 // place of a read plus one, by its hash
	first   [readsAtOnce]uint8     // the first read equal to the one at that place
	results [readsAtOnce]op.ReadResult
}

func (s *sharing) serve(n *Node, reads []ReadRequest) {
	if len(reads) == 1 {
		reads[0].Done(n.readPart(&reads[0]))
		return
	}
	// Compared before the first is answered: from then on it is not ours any more.
	s.compare(reads)
	for i := range reads {
		if f := s.first[i]; int(f) != i {
			n.shared.Add(1)
			reads[i].Done(s.results[f])
			continue
		}
		s.results[i] = n.readPart(&reads[i])
		reads[i].Done(s.results[i])
	}
	clear(s.results[:len(reads)])
}

func (s *sharing) compare(reads []ReadRequest) {
	clear(s.table[:])
	for i := range reads {
		s.first[i] = uint8(i)
		r := &reads[i]
		if r.Read.Kind != op.Get {
			continue
		}
		for at := maphash.String(s.seed, r.Read.Path) ^ maphash.String(s.seed, r.Read.Root); ; at++ {
			slot := &s.table[at%uint64(len(s.table))]
			if *slot == 0 {
				*slot = uint8(i + 1)
				break
			}
			if other := &reads[*slot-1]; equalGets(r, other) {
				s.first[i] = *slot - 1
				break
			}
		}
	}
}

func equalGets(a, b *ReadRequest) bool {
	return a.Group == b.Group && a.Read.Path == b.Read.Path && a.Read.Root == b.Read.Root &&
		a.Read.Offset == b.Read.Offset && a.Read.Version == b.Read.Version
}
