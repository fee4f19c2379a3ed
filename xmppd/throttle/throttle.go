// Package throttle limits how often somebody may do something, by token buckets that cost bounded
// memory whatever names or addresses turn up.
package throttle

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	defaultMax = 1 << 16 // buckets, about 3 MiB
	samples    = 8       // buckets that are looked at to find one that can go
)

// Buckets is a table of token buckets. A key that is not in it has a full bucket. When the table is
// full the fullest of a few buckets is forgotten: what a flood of new keys pushes out are its own,
// while those that have run empty stay. Safe for concurrent use.
type Buckets struct {
	now func() time.Time
	max int

	mu        sync.Mutex
	perMinute float64 // refill, and the most a bucket holds; 0: no limit
	m         map[uint64]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// New makes buckets that hold perMinute tokens and get as many a minute. 0 is no limit.
func New(perMinute int) *Buckets {
	return &Buckets{now: time.Now, max: defaultMax, perMinute: float64(perMinute), m: make(map[uint64]bucket)}
}

// SetRate changes the limit for all keys.
func (b *Buckets) SetRate(perMinute int) {
	b.mu.Lock()
	b.perMinute = float64(perMinute)
	b.mu.Unlock()
}

// Take takes a token and reports whether there was one.
func (b *Buckets) Take(key uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.perMinute == 0 {
		return true
	}
	e := b.get(key)
	if e.tokens < 1 {
		return false
	}
	e.tokens--
	b.put(key, e)
	return true
}

// Has reports whether there is a token, without taking it.
func (b *Buckets) Has(key uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.perMinute == 0 || b.get(key).tokens >= 1
}

// Return gives back a token that was taken.
func (b *Buckets) Return(key uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.m[key]; ok {
		e.tokens++
		b.m[key] = e // get caps it
	}
}

// Len is the number of buckets in memory.
func (b *Buckets) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.m)
}

// get is the bucket of a key as it is now.
func (b *Buckets) get(key uint64) bucket {
	now := b.now()
	e, ok := b.m[key]
	if !ok {
		return bucket{b.perMinute, now}
	}
	return b.refill(e, now)
}

func (b *Buckets) refill(e bucket, now time.Time) bucket {
	e.tokens = min(b.perMinute, e.tokens+now.Sub(e.at).Minutes()*b.perMinute)
	e.at = now
	return e
}

func (b *Buckets) put(key uint64, e bucket) {
	if _, ok := b.m[key]; !ok && len(b.m) >= b.max {
		b.evict(e.at)
	}
	b.m[key] = e
}

// evict forgets the fullest of a few buckets. Iteration over a map begins anywhere.
func (b *Buckets) evict(now time.Time) {
	var victim uint64
	most, n := -1.0, 0
	for k, e := range b.m {
		if t := b.refill(e, now).tokens; t > most {
			most, victim = t, k
		}
		if n++; n == samples {
			break
		}
	}
	delete(b.m, victim)
}

// Keys makes keys of addresses and accounts. They are hashed with a seed of their own, so that
// nobody can choose what shares a bucket.
type Keys struct{ seed maphash.Seed }

// NewKeys draws a seed.
func NewKeys() Keys { return Keys{maphash.MakeSeed()} }

// Address is the key of a peer: an IPv4 address or an IPv6 /64, which is what one customer has.
func (k Keys) Address(addr netip.Addr) uint64 { return maphash.Comparable(k.seed, Network(addr)) }

// Account is the key of an account.
func (k Keys) Account(name string) uint64 { return maphash.String(k.seed, name) }

// Both is the key of an account as seen from an address.
func (k Keys) Both(name string, addr netip.Addr) uint64 {
	return maphash.Comparable(k.seed, struct {
		name string
		net  netip.Addr
	}{name, Network(addr)})
}

// Network is the address that stands for all that belong to one peer.
func Network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
