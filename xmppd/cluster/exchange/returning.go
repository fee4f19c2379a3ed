package exchange

import (
	"cmp"
	"sync"
	"time"
)

// What a server did not get before it was cut off comes back when it is there again, and belongs before what was kept for the same
// accounts meanwhile. So it is kept before that server is told to look, and the server looks when all have told it to that
// may have something of that kind for it.

// returning are stanzas that servers did not get, and that are not taken care of yet.
type returning struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when there are none; nil: nobody waits
}

func (r *returning) begin() {
	r.mu.Lock()
	r.n++
	r.mu.Unlock()
}

func (r *returning) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.none != nil {
		close(r.none)
		r.none = nil
	}
}

// settled is closed when nothing is returning; nil if that is so already.
func (r *returning) settled() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n > 0 && r.none == nil {
		r.none = make(chan struct{})
	}
	return r.none
}

// awaitReturned waits until what has come back is kept, or on its way to somebody. It is at most as long as the server was cut off,
// since the records may have to wait for that server, and nothing goes there before.
func (x *Exchange) awaitReturned(server string) {
	since, cut := x.words.since(server)
	settled := x.returning.settled()
	if cut && settled != nil && !x.cfg.Faults.Rush {
		x.await(settled, min(patience, time.Since(since)))
	}
}

// await waits until a channel is closed, for some time at most.
func (x *Exchange) await(done <-chan struct{}, most time.Duration) {
	late := time.NewTimer(cmp.Or(x.cfg.Faults.Look, most))
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	case <-x.stop:
	}
}

// words are those of servers that were cut off and may come back: to look for what they have kept.
type words struct {
	mu     sync.Mutex
	missed map[string]time.Time // by server: since when
	all    chan struct{}        // closed when none is missed; nil: nobody waits
}

// wordsTime is how long a server that was cut off can still have something that was not taken here (link.Config.Doubt).
const wordsTime = 10 * time.Second

func (w *words) miss(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missed == nil {
		w.missed = make(map[string]time.Time)
	}
	w.missed[server] = time.Now()
}

// since is when a server was cut off whose word is missed.
func (w *words) since(server string) (at time.Time, missed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, missed = w.missed[server]
	return at, missed
}

func (w *words) came(server string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.missed, server)
	if len(w.missed) == 0 && w.all != nil {
		close(w.all)
		w.all = nil
	}
}

// said is closed when no word is missed; nil if that is so already.
func (w *words) said() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	for server, since := range w.missed {
		if time.Since(since) > wordsTime {
			delete(w.missed, server)
		}
	}
	if len(w.missed) > 0 && w.all == nil {
		w.all = make(chan struct{})
	}
	return w.all
}

// awaitWords waits for the words of servers that were cut off a moment ago: they are there at the same time, as good as, where it
// was this one that was. It leaves time for the look.
func (x *Exchange) awaitWords() {
	if said := x.words.said(); said != nil && !x.cfg.Faults.LookAlone {
		x.await(said, patience/2)
	}
}
