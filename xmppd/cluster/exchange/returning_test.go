package exchange

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// TestReturnedIsKeptBeforeAServerLooks: a server that is back is told of nothing before what it did not get is kept, with the
// time at which it was sent. The planted mistake tells it while the lanes don't run yet.
func TestReturnedIsKeptBeforeAServerLooks(t *testing.T) {
	const total = maxSettled + 8
	for _, planted := range []bool{false, true} {
		var kept atomic.Int64
		x, _ := alone(t, Faults{Rush: planted, NoGreeting: true, Look: time.Hour}, stanza.JID{Local: "w", Domain: "d", Resource: "r"}, 1<<20)
		x.cfg.Router.SetCluster(x)
		x.words.miss("b")
		begin := time.Now()
		k := &dated{func(id string, since time.Time) {
			if id != fmt.Sprint(kept.Add(1)-1) || since.Sub(begin) != time.Duration(kept.Load()) {
				t.Errorf("message %s of %s is kept as number %d", id, since.Sub(begin), kept.Load())
			}
		}}
		if err := x.cfg.Router.Add(k); err != nil {
			t.Fatal(err)
		}
		for n := range total {
			_, frame := chat(n)
			x.undelivered("b", frame, begin.Add(time.Duration(n+1)), false)
		}
		up, had := make(chan struct{}), int64(0)
		go func() {
			defer close(up)
			x.Up("b", 1)
			had = kept.Load()
		}()
		if planted {
			<-up
		}
		x.Start()
		<-up
		if first := had == total; first == planted {
			t.Errorf("planted %v: %d of %d were kept when the server was told to look", planted, had, total)
		}
		x.Close()
	}
}

// dated is a keeper that looks at when messages were taken.
type dated struct {
	kept func(id string, since time.Time)
}

func (*dated) Info() module.Info      { return module.Info{Name: "dated"} }
func (*dated) Features() []string     { return nil }
func (*dated) Routes() []module.Route { return nil }

func (k *dated) Extend(e *module.Extension) {
	e.MessageDelivered = func(_ context.Context, _ stanza.JID, p *module.Passage, _ []*session.Session) bool {
		k.kept(p.Stanza.AttrString(p.Stanza.ID), p.Since)
		return true
	}
}

// TestLookWaitsForAll: who was cut off from several servers looks for what was kept when all of them have told it to.
func TestLookWaitsForAll(t *testing.T) {
	for _, planted := range []bool{false, true} {
		x, _ := alone(t, Faults{LookAlone: planted, Look: time.Hour}, stanza.JID{Local: "u", Domain: "d", Resource: "r"}, 1<<20)
		x.cfg.Table.Get("u@d/r").SetPresence([]byte("<presence/>"), 0)
		var all atomic.Bool
		looks := make(chan bool, 2)
		x.OnKept(func(context.Context, stanza.JID, *session.Batch) { looks <- all.Load() })
		x.words.miss("b")
		x.words.miss("c")
		x.Start()
		look := appendHead(nil, kindKept, 1, "")
		x.receive("b", look)
		early := true
		if planted {
			early = <-looks
		} else {
			await(t, func() bool { x.words.mu.Lock(); defer x.words.mu.Unlock(); return x.words.all != nil })
		}
		all.Store(true)
		x.receive("c", look)
		if !planted {
			early = <-looks
		}
		<-looks
		x.Close()
		if early == planted {
			t.Errorf("planted %v: looked when all had told it to: %v", planted, early)
		}
	}
}

// TestWordsOfWhoStaysAway: a server that does not come back is waited for by nobody after a while.
func TestWordsOfWhoStaysAway(t *testing.T) {
	var w words
	w.miss("b")
	if w.said() == nil {
		t.Error("nobody waits for who was cut off just now")
	}
	w.missed["b"] = time.Now().Add(-2 * wordsTime)
	w.all = nil
	if w.said() != nil {
		t.Error("who was cut off long ago is waited for")
	}
}
