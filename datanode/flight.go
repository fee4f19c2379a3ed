package datanode

import "time"

// Parts on their way to a peer stand in the one stream in front of what is urgent.
// So there are no more of them than the receiver takes in about lateMost: the time
// from sending a part to its acknowledgement, less the least of these times lately
// (which is the way itself), is the delay that parts make for one another. The window
// grows by one part while that is small, and is halved when it is not (as LEDBAT,
// RFC 6817, keeps out of the way of others).
const (
	lateMost    = 50 * time.Millisecond
	windowLeast = 4  // parts; less would let who is merely slow to answer starve
	windowMost  = 12 // 1.1 MiB
	leastFor    = 10 * time.Second
)

// flight is what is on its way to a peer, under the pacer's lock. Its zero value
// is ready.
type flight struct {
	at      []time.Time // when each part was sent
	window  int         // parts; 0: windowLeast
	limited bool        // more would have been sent
	heard   time.Time   // the last word of them
	halved  time.Time

	least, leastBefore time.Duration // ways of this span of leastFor and of the one before; 0: none
	leastSince         time.Time
}

// take makes room for one more part; false when there is none.
func (f *flight) take(now time.Time) bool {
	if f.window == 0 {
		f.window = windowLeast
	}
	if len(f.at) > 0 && now.Sub(f.heard) >= paceStale {
		f.at, f.window = f.at[:0], windowLeast // lost, or the receiver's word was
	}
	if len(f.at) >= f.window {
		f.limited = true
		return false
	}
	if len(f.at) == 0 {
		f.heard = now
	}
	f.at = append(f.at, now)
	return true
}

// landed notes the receiver's word that it has so many more parts.
func (f *flight) landed(parts int, now time.Time) {
	f.heard = now
	if parts = min(parts, len(f.at)); parts == 0 {
		return
	}
	sent := f.at[parts-1]
	f.at = append(f.at[:0], f.at[parts:]...)
	late := f.late(now.Sub(sent), now)
	switch {
	case late > lateMost:
		if sent.After(f.halved) { // not once more for what was under way already
			f.window, f.halved = max(windowLeast, f.window/2), now
		}
	case late < lateMost/2 && f.limited:
		f.window = min(f.window+1, windowMost)
	}
	f.limited = false
}

// late is by how much a way took longer than the quickest lately.
func (f *flight) late(took time.Duration, now time.Time) time.Duration {
	if now.Sub(f.leastSince) >= leastFor {
		f.leastBefore, f.least, f.leastSince = f.least, 0, now
	}
	if f.least == 0 || took < f.least {
		f.least = took
	}
	least := f.least
	if f.leastBefore > 0 {
		least = min(least, f.leastBefore)
	}
	return took - least
}
