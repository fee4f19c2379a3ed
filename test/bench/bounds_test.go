package main

import (
	"strings"
	"testing"
	"time"
)

// TestHold: a bound is met at exactly its limit, on either side, missed just beyond, and not judged when it was not measured.
func TestHold(t *testing.T) {
	for _, c := range []struct {
		bound
		met bool
	}{
		{bound{got: 10, limit: 10, measured: true}, true},
		{bound{got: 10.1, limit: 10, measured: true}, false},
		{bound{got: 2.4, limit: 2.4, measured: true, least: true}, true},
		{bound{got: 2.39, limit: 2.4, measured: true, least: true}, false},
		{bound{got: 0, limit: 2.4, least: true}, true},
	} {
		b := &bench{}
		if err := b.hold([]bound{c.bound}); (err == nil) != c.met {
			t.Errorf("%+v: %v", c.bound, err)
		}
		b.o.quick = true
		if err := b.hold([]bound{c.bound}); err != nil {
			t.Errorf("a quick run fails by its figures: %v", err)
		}
	}
}

// TestLedger: each message has one fate, and what has two is told.
func TestLedger(t *testing.T) {
	l := newLedger("t")
	began := time.Now()
	for n := range 5 {
		l.all[l.mark(0, n)] = &fate{sent: began.Add(time.Duration(n) * time.Second)}
	}
	hear := func(xml string) { l.noted([]byte(xml), strings.Contains(xml, "type='error'")) }
	body := func(n int) string { return "<body>" + l.mark(0, n) + "</body></message>" }
	hear("<message>" + body(0))
	hear("<message><delay xmlns='urn:xmpp:delay' stamp='x'/>" + body(1))
	hear("<message type='error' id='" + l.mark(0, 2) + "'><error/></message>")
	hear("<message>" + body(3))
	hear("<message type='error' id='" + l.mark(0, 3) + "'><error/></message>")
	hear("<message><body>L-other-0-4</body></message>")
	for field, want := range map[string]float64{"sent": 5, "delivered": 2, "kept": 1, "bounced": 1, "vanished": 1, "twice": 1} {
		if got := l.sum(time.Time{}, time.Time{})[field]; got != want {
			t.Errorf("%s: %v, not %v", field, got, want)
		}
	}
	if s := l.sum(began.Add(time.Second), began.Add(3*time.Second)); s["sent"] != 3.0 || s["vanished"] != 0.0 {
		t.Errorf("of the second to the fourth message: %v", s)
	}
}

// TestParts: what -parts lists can be measured, and nothing else.
func TestParts(t *testing.T) {
	b := &bench{o: options{parts: "chat,nothing", rulers: t.TempDir()}}
	if err := b.clusterRun(t.Context()); err == nil {
		t.Error("a part that there is not is measured")
	}
	b.o.parts = allParts
	if err := b.clusterRun(t.Context()); err != nil {
		t.Errorf("without the ruler: %v", err)
	}
}
