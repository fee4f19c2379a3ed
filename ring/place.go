package ring

import (
	"errors"
	"fmt"
	"slices"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

// Options says what ring a cluster starts with.
type Options struct {
	Cluster    string // UUID of the new cluster; needed
	Partitions int    // 0: DefaultPartitions
	Replicas   int    // copies of each partition; 0: DefaultReplicas, or as many as there are members when those are fewer
}

// New makes the first document of a cluster. Members without an ID are numbered
// in the order given. Each partition's owner comes from buraksezer/consistent;
// the assigner then fills in the other replicas so that replicas and leaders
// are even and zones are spread. The same arguments give the same document.
func New(members []Member, opt Options) (*Document, error) {
	d := &Document{
		Version: FormatVersion, Cluster: opt.Cluster, Epoch: 1,
		Partitions: opt.Partitions, Replicas: opt.Replicas,
		Members: number(members),
	}
	if len(d.Members) == 0 {
		return nil, errors.New("a cluster needs at least one data node")
	}
	if d.Partitions == 0 {
		d.Partitions = DefaultPartitions
	}
	if d.Replicas == 0 {
		d.Replicas = min(DefaultReplicas, len(d.Members))
	}
	if d.Replicas > len(d.Members) {
		return nil, fmt.Errorf("%d replicas need as many data nodes, but there are %d: add nodes or ask for fewer replicas", d.Replicas, len(d.Members))
	}
	// consistent.New divides partitions by members in whole numbers and panics
	// when that is nought.
	if d.Partitions < len(d.Members) {
		return nil, fmt.Errorf("%d partitions are too few for %d data nodes; use at least as many partitions as nodes will ever be", d.Partitions, len(d.Members))
	}
	if d.Partitions > maxPartitions {
		return nil, fmt.Errorf("%d partitions are too many; the limit is %d", d.Partitions, maxPartitions)
	}
	d.LastID = d.lastID()
	d.Meta = metaMembers(d.Members)
	d.Table = firstTable(d)
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// number copies members, gives ids to those without, fills in defaults and sorts.
func number(members []Member) []Member {
	out := slices.Clone(members)
	var next uint64
	for _, m := range out {
		next = max(next, m.ID)
	}
	for i := range out {
		if out[i].ID == 0 {
			next++
			out[i].ID = next
		}
		if out[i].State == "" {
			out[i].State = Active
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return compare(a.ID, b.ID) })
	return out
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func oddBelow(n int) int { return n - (n+1)%2 }

// metaMembers picks 1, 3 or 5 members for the meta group, as many zones as
// there are first.
func metaMembers(members []Member) []uint64 {
	want := oddBelow(min(5, len(members)))
	var out []uint64
	taken := make(map[uint64]bool)
	for len(out) < want {
		zones := make(map[string]bool)
		for _, m := range members {
			if len(out) == want {
				break
			}
			if taken[m.ID] || (m.Zone != "" && zones[m.Zone]) {
				continue
			}
			zones[m.Zone] = true
			taken[m.ID] = true
			out = append(out, m.ID)
		}
	}
	slices.Sort(out)
	return out
}

type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

// point is a member as the library sees it. It hashes String() followed by the
// point's number, so that "1" and "11" would share points ("1"+"10" is
// "11"+"0"): ids are written with a fixed width.
type point uint64

func (p point) String() string { return fmt.Sprintf("member-%020d-", uint64(p)) }

// Traps of buraksezer/consistent v0.10.0 that owners avoids: at load 1.0 it
// panics whenever members do not divide partitions; it gives up (and panics)
// one point before it has looked at all of them, so a member needs at least two.
const (
	libraryLoad   = 1.05
	libraryPoints = 64
)

// owners asks the library for the owner of each partition.
func owners(partitions int, members []Member) []uint64 {
	pts := make([]consistent.Member, len(members))
	for i, m := range members {
		pts[i] = point(m.ID)
	}
	c := consistent.New(pts, consistent.Config{
		Hasher: hasher{}, PartitionCount: partitions,
		ReplicationFactor: libraryPoints, Load: libraryLoad,
	})
	out := make([]uint64, partitions)
	for p := range out {
		out[p] = uint64(c.GetPartitionOwner(p).(point))
	}
	return out
}

// firstTable places a new cluster. Owners stay where the library put them as
// far as evenness and zones permit.
func firstTable(d *Document) [][]uint64 {
	old := make([][]uint64, d.Partitions)
	for p, o := range owners(d.Partitions, d.Members) {
		old[p] = []uint64{o}
	}
	l := newLayout(old, d.Members, d.Replicas)
	l.fill()
	l.pinOwners = true
	l.balance()
	l.pinOwners = false
	l.balance()
	l.leaders()
	return l.table()
}
