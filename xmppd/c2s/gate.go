package c2s

import (
	"context"
	"net/netip"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/throttle"
)

// gate keeps one peer from taking what is there for all: connections, and guesses at passwords.
//
// Guesses are counted by address, by account from one address, and by account from everywhere. The
// first two refuse. The last one only delays: otherwise whoever knows the name of an account could
// lock its owner out.
type gate struct {
	keys        throttle.Keys
	connections map[uint64]int // open ones by address; under the server's mutex
	rate        *throttle.Buckets
	line        *throttle.Line // of all who begin to negotiate
	byAddress   *throttle.Buckets
	byBoth      *throttle.Buckets
	byAccount   *throttle.Buckets
	faults      Faults
}

// guessesAtAccount is how many times more guesses an account takes from everywhere than from one
// address before they are delayed.
const guessesAtAccount = 5

// guessDelay is how long a login waits while its account is being guessed at from many addresses.
const guessDelay = 2 * time.Second

func newGate(set *Settings) *gate {
	return &gate{
		keys:        throttle.NewKeys(),
		connections: make(map[uint64]int),
		rate:        throttle.New(set.ConnectionRate),
		line:        throttle.NewLine(set.LoginRate),
		byAddress:   throttle.New(set.LoginAttemptsByAddress),
		byBoth:      throttle.New(set.LoginAttemptsByAccount),
		byAccount:   throttle.New(guessesAtAccount * set.LoginAttemptsByAccount),
	}
}

func (g *gate) apply(set *Settings) {
	g.rate.SetRate(set.ConnectionRate)
	g.line.SetRate(set.LoginRate)
	g.byAddress.SetRate(set.LoginAttemptsByAddress)
	g.byBoth.SetRate(set.LoginAttemptsByAccount)
	g.byAccount.SetRate(guessesAtAccount * set.LoginAttemptsByAccount)
}

// peerAddr is the address that limits count by. What is no IP address has no limits: it is no peer
// from the network.
func peerAddr(p *Peer) netip.Addr {
	addr, _ := netip.ParseAddr(p.Addr)
	return addr.Unmap()
}

// patience is how long a client waits at most for its turn to log in: less than clients have, so that
// nobody is served who has gone. Who would have to wait longer had better try another server, or later.
const patience = 4 * time.Second

// turn waits for a client's turn. It reports how long that took, and false if it would take too long.
func (g *gate) turn(ctx context.Context, set *Settings) (waited, ok bool) {
	most := min(patience, set.Negotiation/2)
	if g.faults.EndlessLine {
		most = time.Hour
	}
	wait, ok := g.line.Join(time.Now(), most)
	if !ok || wait == 0 || g.faults.NoLine {
		return false, ok
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return true, true
}

// enter counts a connection and returns why it is refused, if it is. It needs the server's mutex.
func (g *gate) enter(addr netip.Addr, set *Settings) (refused string) {
	if !addr.IsValid() {
		return ""
	}
	key := g.keys.Address(addr)
	if !set.exempt(addr) {
		if g.connections[key] >= set.ConnectionsPerAddress {
			return "address"
		}
		if !g.rate.Take(key) {
			return "rate"
		}
	}
	g.connections[key]++
	return ""
}

func (g *gate) leave(addr netip.Addr) {
	if !addr.IsValid() {
		return
	}
	key := g.keys.Address(addr)
	if g.connections[key]--; g.connections[key] <= 0 {
		delete(g.connections, key)
	}
}

// guess is one guess at a password.
type guess struct {
	gate                      *gate
	address, account, anybody uint64
	taken                     bool
}

// errGuesses is told to whoever has guessed too often.
var errGuesses = &saslError{condition: "temporary-auth-failure", text: "too many failed attempts to log in: wait a minute"}

// guess prepares the count of an attempt to log in; nil: it isn't counted.
func (g *gate) guess(addr netip.Addr, name string, set *Settings) *guess {
	if !addr.IsValid() || set.exempt(addr) {
		return nil
	}
	return &guess{gate: g, address: g.keys.Address(addr), account: g.keys.Both(name, addr), anybody: g.keys.Account(name)}
}

// allowed reports whether one may still guess, and names the limit if not.
func (g *guess) allowed() (limit string, ok bool) {
	switch {
	case g == nil:
		return "", true
	case !g.gate.byAddress.Has(g.address):
		return "address", false
	case !g.gate.byBoth.Has(g.account):
		return "account", false
	}
	return "", true
}

// take counts the guess, before its answer is known: many at once get no further than one after
// the other.
func (g *guess) take() (limit string, ok bool) {
	switch {
	case g == nil || g.taken:
		return "", true
	case !g.gate.byAddress.Take(g.address):
		return "address", false
	case !g.gate.byBoth.Take(g.account):
		g.gate.byAddress.Return(g.address)
		return "account", false
	}
	g.taken = true
	g.gate.byAccount.Take(g.anybody)
	return "", true
}

// right takes the count back: it was no guess.
func (g *guess) right() {
	if g == nil || !g.taken {
		return
	}
	g.taken = false
	g.gate.byAddress.Return(g.address)
	g.gate.byBoth.Return(g.account)
	g.gate.byAccount.Return(g.anybody)
}

// mayRegister counts an attempt to make an account like a guess, whatever comes of it: each costs
// more than a login.
func (g *gate) mayRegister(addr netip.Addr, set *Settings) bool {
	return !addr.IsValid() || set.exempt(addr) || g.byAddress.Take(g.keys.Address(addr))
}

// delay waits while the account is being guessed at from many addresses.
func (g *guess) delay(ctx context.Context) (waited bool) {
	if g == nil || g.gate.byAccount.Has(g.anybody) {
		return false
	}
	t := time.NewTimer(guessDelay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return true
}
