package procs

import "runtime/metrics"

// waits tells how many wake-ups of goroutines were late.
type waits struct {
	sample      [1]metrics.Sample
	all, behind uint64 // as of the last look
}

func newWaits() *waits {
	w := &waits{sample: [1]metrics.Sample{{Name: "/sched/latencies:seconds"}}}
	w.late()
	return w
}

// late is the part of the wake-ups since the last look.
func (w *waits) late() float64 {
	metrics.Read(w.sample[:])
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0 // this runtime does not tell
	}
	h := w.sample[0].Value.Float64Histogram()
	var all, behind uint64
	for i, n := range h.Counts {
		all += n
		if h.Buckets[i] >= tooLate.Seconds() {
			behind += n
		}
	}
	newAll, newBehind := all-w.all, behind-w.behind
	w.all, w.behind = all, behind
	if newAll == 0 {
		return 0
	}
	return float64(newBehind) / float64(newAll)
}
