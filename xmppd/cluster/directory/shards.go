package directory

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/ring"
)

// partitions is how many parts the directory has. Each has two owners, or one in a cluster of one.
const (
	partitions = ring.DefaultPartitions
	copies     = 2
)

// shards says who has which part of the directory; immutable.
type shards struct {
	servers []string
	owners  [partitions][]string
}

// newShards gives each partition the servers that score highest for it (rendezvous hashing): with a
// server that comes or goes only the partitions change that it has, or had.
func newShards(servers []string) *shards {
	s := &shards{servers: slices.Clone(servers)}
	slices.Sort(s.servers)
	type score struct {
		server string
		points uint64
	}
	all := make([]score, len(servers))
	for p := range s.owners {
		for i, server := range s.servers {
			all[i] = score{server, xxhash.Sum64(binary.BigEndian.AppendUint32([]byte(server+"\x00"), uint32(p)))} //nolint:gosec // small
		}
		slices.SortFunc(all, func(a, b score) int {
			if a.points > b.points {
				return -1
			}
			return 1
		})
		for _, x := range all[:min(copies, len(all))] {
			s.owners[p] = append(s.owners[p], x.server)
		}
	}
	return s
}

// part is the partition of an account.
func part(account string) uint64 { return ring.Hash(account) % partitions }

// of are the owners of an account, the first one first.
func (s *shards) of(account string) []string { return s.owners[part(account)] }

// gained lists the partitions that a server has and did not have before.
func (s *shards) gained(before *shards, server string) (parts []int) {
	for p, owners := range s.owners {
		if slices.Contains(owners, server) && !slices.Contains(before.owners[p], server) {
			parts = append(parts, p)
		}
	}
	return parts
}
