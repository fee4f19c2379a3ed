package ring

import (
	"math"
	"slices"
)

// aim works out how many replicas each usable member shall hold: its share by
// weight, as far as a partition may have only zoneCap replicas in one zone and
// one on one member. Where a share is not whole, the members that have more now
// get the larger whole number, which saves moves.
func (l *layout) aim() {
	copies := len(l.rows) * l.replicas
	size, weight := make([]int, len(l.ids)), make([]float64, len(l.ids)) // by zone
	for m, z := range l.zone {
		if l.usable[m] {
			size[z]++
			weight[z] += l.weight[m]
		}
	}
	l.zoneCap = zoneCap(size, l.replicas)

	room := make([]float64, len(size))
	for z := range room {
		room[z] = float64(len(l.rows) * min(l.zoneCap, size[z]))
	}
	byZone := pour(float64(copies), weight, room)
	share := make([]float64, len(l.ids))
	for z := range byZone {
		w, r := make([]float64, len(l.ids)), make([]float64, len(l.ids))
		for m := range l.ids {
			if l.usable[m] && l.zone[m] == z {
				w[m], r[m] = l.weight[m], float64(len(l.rows))
			}
		}
		for m, q := range pour(byZone[z], w, r) {
			share[m] += q
		}
	}
	l.target = l.whole(share, byZone, room, copies)
}

// zoneCap is the smallest number of replicas a zone must be able to take.
func zoneCap(size []int, replicas int) int {
	for c := 1; ; c++ {
		places := 0
		for _, n := range size {
			places += min(c, n)
		}
		if places >= replicas || c >= replicas {
			return c
		}
	}
}

// pour spreads total by weight over vessels with limited room.
func pour(total float64, weight, room []float64) []float64 {
	out := make([]float64, len(weight))
	full := make([]bool, len(weight))
	for range weight {
		var w float64
		for i := range weight {
			if !full[i] {
				w += weight[i]
			}
		}
		if w == 0 {
			break
		}
		rest := total
		for i := range out {
			if full[i] {
				rest -= out[i]
			}
		}
		overflow := false
		for i := range out {
			if full[i] {
				continue
			}
			out[i] = rest * weight[i] / w
			if weight[i] > 0 && out[i] >= room[i] {
				overflow = overflow || out[i] > room[i]
				out[i], full[i] = room[i], true
			}
		}
		if !overflow {
			break
		}
	}
	return out
}

// whole rounds shares so that they add up to copies and no zone overflows.
func (l *layout) whole(share, byZone, room []float64, copies int) []int {
	const eps = 1e-6
	out := make([]int, len(share))
	left := copies
	zoneLeft := make([]int, len(byZone))
	for z := range zoneLeft {
		zoneLeft[z] = int(math.Min(math.Ceil(byZone[z]-eps), room[z]))
	}
	var order []int
	for m, s := range share {
		out[m] = int(math.Floor(s + eps))
		left -= out[m]
		zoneLeft[l.zone[m]] -= out[m]
		if s-float64(out[m]) > eps {
			order = append(order, m)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return (l.load[b] - out[b]) - (l.load[a] - out[a])
	})
	for _, m := range order {
		if left > 0 && zoneLeft[l.zone[m]] > 0 {
			out[m]++
			left--
			zoneLeft[l.zone[m]]--
		}
	}
	return out
}
