package c2s

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func addr(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.%d.%d.1", i/256, i%256)) }

// TestGuessesFromOneAddress: guesses are refused by address and by account, right passwords cost
// nothing, and after a minute there are new ones.
func TestGuessesFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := Settings{LoginAttemptsByAddress: 10, LoginAttemptsByAccount: 4}.withDefaults()
		g := newGate(set)
		for range 100 {
			right := g.guess(addr(1), "alice", set)
			if _, ok := right.take(); !ok {
				t.Fatal("right passwords are counted")
			}
			right.right()
		}
		for i := range 4 {
			if _, ok := g.guess(addr(1), "alice", set).take(); !ok {
				t.Fatalf("guess %d refused", i)
			}
		}
		if limit, ok := g.guess(addr(1), "alice", set).allowed(); ok || limit != "account" {
			t.Errorf("fifth guess at one account: %q, %v", limit, ok)
		}
		for i := range 6 {
			if _, ok := g.guess(addr(1), fmt.Sprint("user", i), set).take(); !ok {
				t.Fatalf("guess at user%d refused", i)
			}
		}
		if limit, ok := g.guess(addr(1), "bob", set).take(); ok || limit != "address" {
			t.Errorf("eleventh guess from one address: %q, %v", limit, ok)
		}
		if _, ok := g.guess(addr(2), "alice", set).take(); !ok {
			t.Error("another address is refused, too")
		}
		time.Sleep(time.Minute)
		if _, ok := g.guess(addr(1), "alice", set).take(); !ok {
			t.Error("refused after a minute")
		}
	})
}

// TestOwnerIsNotLockedOut: however many addresses guess at an account, its owner gets in, a little
// later.
func TestOwnerIsNotLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := Settings{LoginAttemptsByAccount: 4}.withDefaults()
		g := newGate(set)
		for i := range 500 {
			g.guess(addr(i), "alice", set).take()
		}
		owner := g.guess(addr(1000), "alice", set)
		if _, ok := owner.allowed(); !ok {
			t.Fatal("the owner is locked out")
		}
		begin := time.Now()
		if !owner.delay(t.Context()) || time.Since(begin) != guessDelay {
			t.Errorf("delayed by %v", time.Since(begin))
		}
		if _, ok := owner.take(); !ok {
			t.Fatal("the owner is locked out")
		}
		if g.guess(addr(1000), "bob", set).delay(t.Context()) {
			t.Error("another account is delayed")
		}
	})
}

func TestExempt(t *testing.T) {
	set := Settings{LoginAttemptsByAddress: 1, ConnectionsPerAddress: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}.withDefaults()
	g := newGate(set)
	for range 5 {
		if _, ok := g.guess(addr(1), "alice", set).take(); !ok {
			t.Error("a guess from an exempt address is counted")
		}
		if refused := g.enter(addr(1), set); refused != "" {
			t.Errorf("a connection from an exempt address is refused: %s", refused)
		}
	}
	strange := netip.MustParseAddr("2001:db8::1")
	if g.enter(strange, set) != "" || g.enter(strange.Next(), set) != "address" {
		t.Error("the second connection of a /64 is not refused")
	}
	g.leave(strange)
	for range 5 {
		g.leave(addr(1))
	}
	if len(g.connections) != 0 {
		t.Errorf("%d addresses without connections are remembered", len(g.connections))
	}
}
