package throttle

import (
	"net/netip"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	now := time.Now()
	b := New(6)
	b.now = func() time.Time { return now }
	for range 6 {
		if !b.Has(1) || !b.Take(1) {
			t.Fatal("no token in a fresh bucket")
		}
	}
	if b.Has(1) || b.Take(1) {
		t.Fatal("a seventh token")
	}
	if !b.Take(2) {
		t.Error("keys share a bucket")
	}
	now = now.Add(10 * time.Second)
	if !b.Take(1) || b.Take(1) {
		t.Error("not one token after ten seconds")
	}
	b.Return(1)
	if !b.Take(1) {
		t.Error("the returned token is gone")
	}
	now = now.Add(time.Hour)
	b.Return(1)
	for i := range 7 {
		if b.Take(1) != (i < 6) {
			t.Errorf("token %d after an hour", i)
		}
	}
	b.SetRate(0)
	if !b.Has(1) || !b.Take(1) {
		t.Error("limited without a limit")
	}
}

// TestFlood: new keys neither grow the table nor free those who have run empty.
func TestFlood(t *testing.T) {
	b := New(20)
	b.max = 1000
	now := time.Now()
	b.now = func() time.Time { return now }
	for k := range uint64(10) {
		for b.Take(k) {
		}
	}
	for k := range uint64(100_000) {
		b.Take(1000 + k)
	}
	if n := b.Len(); n != 1000 {
		t.Errorf("%d buckets, at most 1000", n)
	}
	for k := range uint64(10) {
		if b.Has(k) {
			t.Errorf("the flood has filled bucket %d", k)
		}
	}
}

func TestKeys(t *testing.T) {
	k := NewKeys()
	at := netip.MustParseAddr
	for _, pair := range [][2]string{{"2001:db8::1", "2001:db8::2:3:4"}, {"192.0.2.1", "::ffff:192.0.2.1"}, {"fe80::1%eth0", "fe80::2%eth1"}} {
		if k.Address(at(pair[0])) != k.Address(at(pair[1])) {
			t.Errorf("%s and %s differ", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"2001:db8::1", "2001:db8:0:1::1"}, {"192.0.2.1", "192.0.2.2"}} {
		if k.Address(at(pair[0])) == k.Address(at(pair[1])) {
			t.Errorf("%s and %s are one", pair[0], pair[1])
		}
	}
	if k.Both("a", at("192.0.2.1")) == k.Both("b", at("192.0.2.1")) || k.Both("a", at("192.0.2.1")) == k.Both("a", at("192.0.2.2")) {
		t.Error("accounts or addresses share a key")
	}
}
