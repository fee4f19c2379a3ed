package bosh

import "time"

const (
	minWait     = 5 * time.Second
	trustBroken = 5 * time.Second // connections cut earlier say nothing about how long one lasts
	fullWaits   = 10              // without a cut, for the first one to be forgotten
)

// adaptive is how long requests are held. A connection that something on the way cuts, such as a
// proxy after 30 s, costs a session a repeated request and a delay: from then on requests are
// answered earlier than that, and after some that lasted longer waits are tried again.
type adaptive struct {
	wait time.Duration // 0: what was agreed
	cuts uint8
	good uint16 // full waits since the last cut
}

// cut notes that a connection broke which had been held for d.
func (a *adaptive) cut(d, agreed time.Duration) {
	now := a.wait
	if now == 0 {
		now = agreed
	}
	if d < trustBroken || d > now {
		return
	}
	a.wait = max(minWait, min(now, d-max(d/5, 2*time.Second)))
	a.cuts, a.good = min(a.cuts+1, 6), 0
}

// held notes that a connection lasted until it was answered for lack of anything to say.
func (a *adaptive) held() {
	if a.wait == 0 {
		return
	}
	if a.good++; a.good >= fullWaits<<(a.cuts-1) {
		a.wait, a.good = 0, 0
	}
}

// hold is how long the next request is held.
func (a *adaptive) hold(agreed time.Duration) time.Duration {
	if a.wait == 0 {
		return agreed
	}
	return a.wait
}
