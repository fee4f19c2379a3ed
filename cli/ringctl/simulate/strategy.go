package simulate

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/ring"
)

// The strategies, by name.
const (
	RosterDB   = "rosterdb"   // partitions, first placed by consistent, then moved as little as possible
	Consistent = "consistent" // buraksezer/consistent alone: owner and the next nodes on its circle
	Rendezvous = "rendezvous" // the nodes with the highest hash of node and key
	Modulo     = "modulo"     // hash modulo the number of nodes, and those after it
)

// Strategies lists all names, ours first.
func Strategies() []string { return []string{RosterDB, Consistent, Rendezvous, Modulo} }

// placement puts the copies of the key with a hash on nodes numbered from 0, the
// first copy first, into dst.
type placement func(dst []int, hash uint64) []int

// placer makes the placement of a strategy for a number of nodes. It may remember
// the one before, as a cluster does that grows.
type placer func(nodes int) (placement, error)

func newPlacer(name string, partitions, replicas int) (placer, error) {
	switch name {
	case Modulo:
		return func(nodes int) (placement, error) {
			return func(dst []int, hash uint64) []int {
				for r := range min(replicas, nodes) {
					dst = append(dst, int((hash+uint64(r))%uint64(nodes)))
				}
				return dst
			}, nil
		}, nil
	case Rendezvous:
		return func(nodes int) (placement, error) {
			return func(dst []int, hash uint64) []int { return rendezvous(dst, hash, nodes, min(replicas, nodes)) }, nil
		}, nil
	case Consistent:
		return func(nodes int) (placement, error) { return circle(nodes, partitions, min(replicas, nodes)) }, nil
	case RosterDB:
		t := &table{partitions: partitions, replicas: replicas}
		return t.place, nil
	default:
		return nil, fmt.Errorf("no strategy %q; there are %v", name, Strategies())
	}
}

// rendezvous takes the nodes with the highest hashes (highest random weight).
func rendezvous(dst []int, hash uint64, nodes, replicas int) []int {
	scores := make([]uint64, nodes)
	for n := range scores {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], hash)
		binary.LittleEndian.PutUint64(b[8:], uint64(n))
		scores[n] = xxhash.Sum64(b[:])
	}
	for range replicas {
		best := -1
		for n, s := range scores {
			if !slices.Contains(dst, n) && (best < 0 || s > scores[best]) {
				best = n
			}
		}
		dst = append(dst, best)
	}
	return dst
}

type point int

func (p point) String() string { return fmt.Sprintf("node-%04d", int(p)) }

type sum64 struct{}

func (sum64) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

// circle is the library with the settings of its documentation.
func circle(nodes, partitions, replicas int) (placement, error) {
	var members []consistent.Member
	for n := range nodes {
		members = append(members, point(n))
	}
	c := consistent.New(members, consistent.Config{
		Hasher: sum64{}, PartitionCount: partitions, ReplicationFactor: 20, Load: 1.25,
	})
	rows := make([][]int, partitions)
	for p := range rows {
		closest, err := c.GetClosestNForPartition(p, replicas)
		if err != nil {
			return nil, fmt.Errorf("%d replicas on %d nodes: %w", replicas, nodes, err)
		}
		for _, m := range closest {
			rows[p] = append(rows[p], int(m.(point)))
		}
	}
	return byPartition(rows), nil
}

func byPartition(rows [][]int) placement {
	return func(dst []int, hash uint64) []int { return append(dst, rows[hash%uint64(len(rows))]...) }
}

// table is a ring document that follows the number of nodes.
type table struct {
	partitions, replicas int
	doc                  *ring.Document
}

func (t *table) place(nodes int) (placement, error) {
	if err := t.resize(nodes); err != nil {
		return nil, err
	}
	rows := make([][]int, len(t.doc.Table))
	for p, row := range t.doc.Table {
		for _, id := range row {
			rows[p] = append(rows[p], int(id-1))
		}
	}
	return byPartition(rows), nil
}

// resize goes the way a plan goes. Node n is member n+1; the last ones leave.
func (t *table) resize(nodes int) error {
	var members []ring.Member
	for n := range nodes {
		members = append(members, ring.Member{
			ID: uint64(n + 1), JID: fmt.Sprintf("n%d@simulation.invalid/store", n),
			Store: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), State: ring.Active,
		})
	}
	if t.doc == nil {
		doc, err := ring.New(members, ring.Options{
			Cluster: "00000000-0000-4000-8000-000000000000", Partitions: t.partitions, Replicas: min(t.replicas, nodes),
		})
		t.doc = doc
		return err
	}
	pl, err := ring.MakePlan(t.doc, members, ring.PlanOptions{})
	if err != nil {
		return err
	}
	next := t.doc.Next()
	next.Members = members
	if n := len(pl.Rounds); n > 0 {
		next.Table = pl.Rounds[n-1].Target
	}
	t.doc = next
	return nil
}
