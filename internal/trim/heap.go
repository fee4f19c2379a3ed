package trim

import "runtime/debug"

// Heap says how much garbage may gather before it is collected: Percent of what is alive, as GOGC
// says it, but no more than Garbage bytes, and at least a quarter of what is alive, so that collecting
// does not cost more than it is worth. The zero value leaves things as they are.
type Heap struct {
	Percent int    // of what is alive; 0: the rest is not looked at
	Garbage uint64 // bytes
}

// least is the smallest percentage.
const least = 25

// percent is what suits a heap of which so many bytes are alive.
func (h Heap) percent(live uint64) int {
	if live <= h.Garbage*100/uint64(h.Percent) {
		return h.Percent
	}
	return max(least, int(h.Garbage*100/live))
}

// begin sets the percentage of a small heap and returns it.
func (h Heap) begin() int {
	if h.Percent > 0 {
		debug.SetGCPercent(h.Percent)
	}
	return h.Percent
}

// follow fits the percentage to what is alive, if it was another by a tenth: to set it stops the
// world for some microseconds.
func (h Heap) follow(now int, live uint64) int {
	if h.Percent == 0 {
		return now
	}
	want := h.percent(live)
	if d := want - now; 10*max(d, -d) <= now {
		return now
	}
	debug.SetGCPercent(want)
	return want
}
