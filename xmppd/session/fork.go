package session

import (
	"hash/maphash"
	"sync"
)

// forkRing is how many forked stanzas of an account are remembered. When one is forgotten it may
// come twice in the end; none is lost.
const forkRing = 256

// forks remembers which stanzas were given to several sessions of an account, so that only the
// last of those that could not get one speaks for it.
type forks struct {
	mu   sync.Mutex
	seed maphash.Seed
	ring []fork // made when it is first needed
	next int
}

type fork struct {
	hash uint64
	left int // sessions that have the stanza, or will give it back
}

// Fork notes that a stanza goes to n sessions of the account. It is called before it does.
func (u *User) Fork(raw []byte, n int) {
	f := &u.forks
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ring == nil {
		f.seed, f.ring = maphash.MakeSeed(), make([]fork, forkRing)
	}
	f.ring[f.next] = fork{maphash.Bytes(f.seed, raw), n}
	f.next = (f.next + 1) % forkRing
}

// Unfork notes that one of the sessions did not get a stanza. last is true if no other of them has
// it, or if it was never forked. A
// nil User has forked nothing.
func (u *User) Unfork(raw []byte) (last bool) {
	if u == nil {
		return true
	}
	f := &u.forks
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ring == nil {
		return true
	}
	// Among stanzas that are alike, each session gives back one of each.
	var found *fork
	for i, hash := 0, maphash.Bytes(f.seed, raw); i < forkRing; i++ {
		if e := &f.ring[i]; e.hash == hash && e.left > 0 && (found == nil || e.left > found.left) {
			found = e
		}
	}
	if found == nil {
		return true
	}
	found.left--
	return found.left == 0
}
