package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// stuck is a transport whose peer does not read.
type stuck struct{ end chan struct{} }

func (s stuck) TryWrite([]byte) (int, bool, error) { return 0, true, nil }
func (s stuck) Finish() (int, error)               { <-s.end; return 0, session.ErrClosed }
func (s stuck) Abort()                             {}

// TestBusyGoesBack: a stanza of a sender who has too much waiting for a trusted receiver goes back, with a condition
// that says to come again; what must not be answered is queued all the same. Others, and the receiver, have no part
// in it.
func TestBusyGoesBack(t *testing.T) {
	w := newWorld(t, router.Faults{})
	s := stuck{make(chan struct{})}
	ended := make(chan struct{})
	dst := w.login("m@d/store")
	dst.Out.Init(&w.pool, s, 4<<20, func(f func()) bool {
		go func() { defer close(ended); f() }()
		return true
	})
	dst.Out.Trust(dst.Bare)
	src, polite := w.login("a@d/x"), w.login("b@d/x")
	body := strings.Repeat("x", 50_000)
	for i := range 40 {
		w.say(src, fmt.Appendf(nil, "<message to='m@d/store' id='m%d'>%s</message><iq type='get' to='m@d/store' id='i%d'><x xmlns='y'>%s</x></iq>", i, body, i, body))
	}
	got := string(w.sinks["a@d/x"].got)
	for _, want := range []string{"<message type='error' id='m39' from='m@d/store'", "<iq type='error' id='i39' from='m@d/store'", "<error type='wait'><resource-constraint "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in what the sender got: %.400q", want, got)
		}
	}
	busy := w.router.Counts().Busy.Load()
	if n := uint64(strings.Count(got, "type='wait'")); n != busy || n == 0 || n > 70 {
		t.Errorf("%d of 80 stanzas went back, %d are counted", n, busy)
	}
	w.say(polite, []byte("<message to='m@d/store' id='p'/>"))
	w.say(src, []byte("<message type='error' to='m@d/store' id='e'><x xmlns='y'>"+body+"</x></message>"))
	if got := w.sinks["b@d/x"].got; len(got) > 0 || w.router.Counts().Busy.Load() != busy {
		t.Errorf("somebody else got %q", got)
	}
	if w.table.Get("m@d/store") != dst || dst.Out.Reason() != nil || w.table.User("m@d").Leaves() {
		t.Errorf("the receiver has ended: %v", dst.Out.Reason())
	}
	close(s.end)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the writer goes on")
	}
	left, _ := dst.Out.Close()
	all := ""
	for _, run := range left {
		all += string(run)
	}
	if !strings.Contains(all, "id='p'") || !strings.Contains(all, "id='e'") {
		t.Error("what was taken is not there")
	}
}
