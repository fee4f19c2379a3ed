package datanode

import (
	"fmt"
	"sync/atomic"
)

// maxReserve bounds the reserve chosen by default, in bytes.
const maxReserve = 256 << 20

// disk decides whether there is room for writes. look is called by one
// goroutine, the rest by any.
type disk struct {
	dir     string
	space   func(dir string) (free, total uint64, err error)
	wanted  uint64 // configured reserve; 0: by size
	free    atomic.Uint64
	reserve atomic.Uint64
	low     atomic.Bool // less than the reserve is free
	engine  atomic.Bool // the engine says that the disk is full
}

// look measures. The disk counts as full below the reserve, and as having room
// again a quarter of the reserve above it, or it would swing at the edge.
func (d *disk) look() error {
	free, total, err := d.space(d.dir)
	if err != nil {
		return err
	}
	reserve := d.wanted
	if reserve == 0 {
		reserve = min(maxReserve, total/100)
	}
	d.free.Store(free)
	d.reserve.Store(reserve)
	switch {
	case free < reserve:
		d.low.Store(true)
	case free >= reserve+reserve/4:
		d.low.Store(false)
	}
	return nil
}

func (d *disk) full() bool { return d.low.Load() || d.engine.Load() }

// text says it to people.
func (d *disk) text() string {
	return fmt.Sprintf("disk full: %s free, %s are kept in reserve; writes are refused until there is room", sizeText(d.free.Load()), sizeText(d.reserve.Load()))
}

func sizeText(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 4 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}
