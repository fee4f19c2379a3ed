package simulate

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"github.com/rosterdb/rosterdb/ring"
)

// MaxKey is the longest line of a key file, in bytes.
const MaxKey = 64 << 10

// Options says what to try.
type Options struct {
	Nodes      []int    // numbers of nodes, in the order that the cluster has them
	Strategies []string // names; nil: all
	Partitions int
	Replicas   int
}

// Row is one strategy at one number of nodes. Its JSON is a contract with scripts.
type Row struct {
	Strategy string  `json:"strategy"`
	Nodes    int     `json:"nodes"`
	Least    int     `json:"least"` // copies on the emptiest node
	Most     int     `json:"most"`  // on the fullest
	Skew     float64 `json:"skew"`  // Most over the mean
	// FirstSkew is the skew of first copies only, which take the writes.
	FirstSkew float64 `json:"first_skew"`
	Moved     int     `json:"moved"`       // copies that are not where they were with the number of nodes before
	MovedPart float64 `json:"moved_part"`  // of all copies
	LeastPart float64 `json:"needed_part"` // that has to move for an even spread
}

// ReadKeys hashes the keys of a file, one a line; empty lines are none. Errors:
// the reader's, a line longer than MaxKey, or no key.
func ReadKeys(r io.Reader) ([]uint64, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 4096), MaxKey)
	var hashes []uint64
	for sc.Scan() {
		if key := sc.Text(); key != "" {
			hashes = append(hashes, ring.Hash(key))
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("line %d of the keys: %w", len(hashes)+1, err)
	}
	if len(hashes) == 0 {
		return nil, fmt.Errorf("no keys: write one a line")
	}
	return hashes, nil
}

// Run tries the strategies on the keys with these hashes.
func Run(hashes []uint64, o Options) ([]Row, error) {
	if o.Strategies == nil {
		o.Strategies = Strategies()
	}
	var rows []Row
	for _, name := range o.Strategies {
		place, err := newPlacer(name, o.Partitions, o.Replicas)
		if err != nil {
			return nil, err
		}
		var before [][]int
		for i, nodes := range o.Nodes {
			p, err := place(nodes)
			if err != nil {
				return nil, fmt.Errorf("%s with %d nodes: %w", name, nodes, err)
			}
			row, now := measure(hashes, p, nodes, before)
			row.Strategy = name
			if i > 0 {
				row.LeastPart = leastPart(o.Nodes[i-1], nodes)
			}
			rows, before = append(rows, row), now
		}
	}
	return rows, nil
}

// leastPart is the share of the copies that must move from an even spread over
// some nodes to one over others.
func leastPart(from, to int) float64 {
	if to > from {
		return float64(to-from) / float64(to)
	}
	return float64(from-to) / float64(from)
}

func measure(hashes []uint64, p placement, nodes int, before [][]int) (Row, [][]int) {
	row := Row{Nodes: nodes}
	load, first := make([]int, nodes), make([]int, nodes)
	now := make([][]int, len(hashes))
	copies := 0
	for i, h := range hashes {
		now[i] = p(nil, h)
		copies += len(now[i])
		first[now[i][0]]++
		for _, n := range now[i] {
			load[n]++
			if before != nil && !slices.Contains(before[i], n) {
				row.Moved++
			}
		}
	}
	row.Least, row.Most = slices.Min(load), slices.Max(load)
	row.Skew = float64(row.Most) * float64(nodes) / float64(copies)
	row.FirstSkew = float64(slices.Max(first)) * float64(nodes) / float64(len(hashes))
	row.MovedPart = float64(row.Moved) / float64(copies)
	return row, now
}
