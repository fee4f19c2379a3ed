package powerfs

import (
	"math"
	"os"
)

const (
	pageSize   = 4096
	sectorSize = 512 // what a disk writes whole or not at all
	untouched  = math.MaxInt64
)

type page [pageSize]byte

// node is a file or a directory.
type node struct {
	id    uint64
	mode  uint32
	isDir bool

	// How many names lead here: as programs see it, as it is durable, and in
	// changes of directories that are not durable yet. Plus open handles.
	liveRefs, durableRefs, pendingRefs, handles int

	// Of a file.
	host        *os.File        // durable contents; nil: none
	size        int64           // as programs see it
	durableSize int64           // after a cut
	trimmed     int64           // durable contents from here on were truncated away since the last sync
	dirty       map[int64]*page // pages written since the last sync, by offset

	// Of a directory.
	live, durable map[string]*node
	pending       []change // what makes live of durable, in order
}

// change sets names of one directory at once: one for create and remove, two
// for a rename within it. A nil node removes.
type change []struct {
	name string
	node *node
}
