package ring

import "github.com/cespare/xxhash/v2"

// Hash is the hash of the key space: XXH64 with seed 0 over the root's UTF-8
// bytes, as they are (no normalisation). It never changes: docs/protocol.md
// states it for other languages.
func Hash(root string) uint64 { return xxhash.Sum64String(root) }

// Partition returns the partition that holds root: Hash(root) modulo the number
// of partitions. It is what consistent.FindPartitionID of
// github.com/buraksezer/consistent v0.10.0 computes with the same hash.
func (d *Document) Partition(root string) uint32 {
	return uint32(Hash(root) % uint64(d.Partitions))
}

// Group returns the member ids of a partition's replicas, the preferred leader
// first, or of the meta group for MetaPartition; nil for an unknown partition.
// The slice belongs to the document.
func (d *Document) Group(p uint32) []uint64 {
	switch {
	case p == MetaPartition:
		return d.Meta
	case uint64(p) < uint64(len(d.Table)):
		return d.Table[p]
	default:
		return nil
	}
}

// ReplicasOf returns the members that hold partition p, the preferred leader
// first; nil for an unknown partition. MetaPartition is understood.
func (d *Document) ReplicasOf(p uint32) []Member {
	ids := d.Group(p)
	if len(ids) == 0 {
		return nil
	}
	out := make([]Member, 0, len(ids))
	for _, id := range ids {
		if m, ok := d.Member(id); ok {
			out = append(out, m)
		}
	}
	return out
}

// Member returns the member with the id.
func (d *Document) Member(id uint64) (Member, bool) {
	// Members are sorted by id; a search by halves keeps large rings quick.
	lo, hi := 0, len(d.Members)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if d.Members[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(d.Members) && d.Members[lo].ID == id {
		return d.Members[lo], true
	}
	return Member{}, false
}

// ByJID returns the member with the full JID, compared byte by byte: the
// document holds JIDs as the server stamps them. Where a member that leaves has
// a successor of the same JID, it is the successor.
func (d *Document) ByJID(jid string) (Member, bool) {
	var found Member
	for _, m := range d.Members {
		if m.JID == jid && (found.ID == 0 || found.State == Leaving) {
			found = m
		}
	}
	return found, found.ID != 0
}
