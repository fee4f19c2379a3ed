package powerfs

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
)

// Fate says what becomes of what was not synced.
type Fate int

// The fates of Cut.
const (
	Lose    Fate = iota // nothing of it reaches the disk
	Scatter             // each sector, size and change of a directory may or may not
)

// Cut is the loss of power, and its return. No program may have a file of the disk open any
// more. What is durable afterwards depends on the fate and the seed only.
func (d *Disk) Cut(fate Fate, seed uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Cuts++
	d.off = false
	rng := rand.New(rand.NewPCG(seed, 0))
	ids := slices.Sorted(maps.Keys(d.nodes))
	for _, id := range ids {
		n := d.nodes[id]
		if n == nil {
			continue // dropped meanwhile
		}
		if !n.isDir {
			if err := d.scatter(n, fate, rng); err != nil {
				return err
			}
			continue
		}
		kept := 0
		if fate == Scatter {
			kept = rng.IntN(len(n.pending) + 1)
		}
		d.stats.Forgotten += len(n.pending) - kept
		d.commit(n, kept)
	}
	d.restart()
	return nil
}

// scatter decides about what of a file is not durable.
func (d *Disk) scatter(n *node, fate Fate, rng *rand.Rand) error {
	defer clear(n.dirty)
	if fate == Lose || len(n.dirty) == 0 && n.size == n.durableSize && n.trimmed == untouched {
		d.stats.Lost += int64(len(n.dirty)) * pageSize
		return nil
	}
	f, err := d.backing(n)
	if err != nil {
		return err
	}
	size := n.durableSize
	if rng.IntN(2) == 0 { // the truncations and the new size are on the disk
		if n.trimmed < size {
			if err := f.Truncate(n.trimmed); err != nil {
				return err
			}
		}
		size = n.size
	}
	for _, base := range slices.Sorted(maps.Keys(n.dirty)) {
		if err := d.scatterPage(f, n.dirty[base], base, size, rng); err != nil {
			return err
		}
	}
	n.durableSize = size
	return f.Truncate(size)
}

func (d *Disk) scatterPage(f *os.File, pg *page, base, size int64, rng *rand.Rand) error {
	for at := int64(0); at < pageSize; at += sectorSize {
		if rng.IntN(2) == 0 || base+at >= size {
			d.stats.Lost += sectorSize
			continue
		}
		d.stats.Survived += sectorSize
		if _, err := f.WriteAt(pg[at:at+sectorSize], base+at); err != nil {
			return err
		}
	}
	return nil
}

// restart makes what is durable all there is.
func (d *Disk) restart() {
	for _, n := range d.nodes {
		n.live = maps.Clone(n.durable)
		n.pending = nil
		n.size, n.trimmed = n.durableSize, untouched
		n.pendingRefs, n.handles = 0, 0
		n.liveRefs = n.durableRefs
	}
	for _, id := range slices.Sorted(maps.Keys(d.nodes)) {
		if n := d.nodes[id]; n != nil {
			d.drop(n)
		}
	}
}
