// Package trim keeps garbage small. It gives memory back to the operating system once a program has
// become quiet: after a burst of work, such as many logins, Go keeps what the burst has used, the next
// collection may be minutes away, and freed pages go back slowly. And it bounds garbage in bytes
// where a percentage of what is alive would be too much (Heap).
package trim

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	quiet   = 256 << 10 // bytes allocated in a period that is still called quiet
	worth   = 2 << 20   // bytes allocated since the last collection that make another one worthwhile
	portion = 8         // and this part of what is alive: 1/8
)

// Run looks every so often, until ctx ends, whether the program is quiet, and collects garbage and
// gives back memory if enough has been allocated since it did so last. While there is work it does
// nothing but read two counters, and what heap asks for.
func Run(ctx context.Context, every time.Duration, heap Heap) {
	t := time.NewTicker(every)
	defer t.Stop()
	w := watch{samples: []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}}
	percent := heap.begin()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			metrics.Read(w.samples)
			if w.due(w.samples[0].Value.Uint64(), w.samples[1].Value.Uint64()) {
				runtime.GC() // what lies in a sync.Pool outlives the first collection
				debug.FreeOSMemory()
				metrics.Read(w.samples)
				w.trimmed(w.samples[0].Value.Uint64())
			}
			percent = heap.follow(percent, w.samples[1].Value.Uint64())
		}
	}
}

// watch decides when to trim.
type watch struct {
	samples []metrics.Sample
	last    uint64 // bytes allocated when it looked last
	since   uint64 // bytes allocated when it trimmed last
}

// due takes the bytes allocated so far and those alive at the last collection.
func (w *watch) due(allocated, live uint64) bool {
	calm := allocated-w.last < quiet
	w.last = allocated
	return calm && allocated-w.since > max(worth, live/portion)
}

func (w *watch) trimmed(allocated uint64) { w.last, w.since = allocated, allocated }
