package link

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ledger sends numbered payloads through a network that breaks all the time, sends what comes back
// again, and returns how often each has come.
func ledger(t *testing.T, f Faults) map[string]int {
	t.Helper()
	const total = 3000
	pad := strings.Repeat(" ", 200)
	ca := newAuthority(t)
	faulty := func(c *Config) { c.Faults = f }
	a, b := start(t, ca, "a", faulty), start(t, ca, "b", faulty)
	p := newProxy(t, b.addr)
	a.SetPeers([]Peer{{"b", p.addr}})
	b.SetPeers([]Peer{a.peer()})
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seed
	todo, again := numbers(0, total), 0
	for cuts := 0; ; {
		eventually(t, "connected", func() bool { return len(a.Connected()) == 1 })
		if cuts < 40 {
			cuts++
			p.set(func() { p.left = rng.Int64N(20_000) })
		}
		for len(todo) > 0 && a.Send("b", kept, []byte(todo[0]+pad)) == nil {
			todo = todo[1:]
			if len(todo)%100 == 0 {
				break
			}
		}
		a.mu.Lock()
		for _, n := range a.back {
			todo = append(todo, strings.TrimSpace(n))
		}
		again += len(a.back)
		a.back = nil
		a.mu.Unlock()
		if len(todo) > 0 {
			continue
		}
		// Not all can be on their way for ever: they come, or come back.
		eventually(t, "acknowledged or back", func() bool {
			return len(a.read(&a.back)) > 0 || len(a.read(&a.doubt)) > 0 || len(a.Connected()) == 1 && a.Mesh.peer("b").settled()
		})
		if len(a.read(&a.back)) == 0 {
			break
		}
	}
	t.Logf("%d frames came back", again)
	if again == 0 {
		t.Fatal("nothing came back: the network did not break")
	}
	a.Close()
	b.Close()
	times := make(map[string]int)
	for _, n := range b.read(&b.came) {
		times[strings.TrimSpace(n)]++
	}
	for _, n := range a.read(&a.doubt) {
		times[strings.TrimSpace(n)]++
	}
	for _, n := range numbers(0, total) {
		if _, came := times[n]; !came {
			times[n] = 0
		}
	}
	return times
}

func wrong(times map[string]int) (out []string) {
	for n, c := range times {
		if c != 1 {
			out = append(out, fmt.Sprintf("%s: %d times", n, c))
		}
	}
	slices.Sort(out)
	return out
}

// TestExactlyOnce: whatever breaks, each frame comes once, or comes back.
func TestExactlyOnce(t *testing.T) {
	if bad := wrong(ledger(t, Faults{})); len(bad) > 0 {
		t.Errorf("%d frames, such as %s", len(bad), strings.Join(bad[:min(5, len(bad))], ", "))
	}
}

func TestExactlyOnceNoticesForgetting(t *testing.T) {
	ca := newAuthority(t)
	a := start(t, ca, "a", func(c *Config) { c.Window = 1; c.Faults.Forget = true })
	b := start(t, ca, "b", nil)
	p := newProxy(t, b.addr)
	a.SetPeers([]Peer{{"b", p.addr}})
	b.SetPeers([]Peer{a.peer()})
	eventually(t, "connected", func() bool { return len(a.Connected()) == 1 })
	if back := lostInQueue(t, a, p); len(back) != 1 {
		t.Errorf("%d came back", len(back))
	}
}

// lostInQueue cuts the network while frames wait in the queue, and returns what came back.
func lostInQueue(t *testing.T, a *node, p *proxy) []string {
	t.Helper()
	p.set(func() { p.held = true })
	a.send(t, "b", kept, "0")
	eventually(t, "the first is on its way", func() bool { return a.Status()[0].Queue == 0 && !a.Mesh.peer("b").settled() })
	for _, n := range numbers(1, 100) {
		a.send(t, "b", kept, n)
	}
	p.cut()
	p.set(func() { p.held = false })
	eventually(t, "connected again", func() bool { return ups(a) >= 2 })
	return a.read(&a.back)
}

// TestUnwrittenComesBack is the same without the planted bug.
func TestUnwrittenComesBack(t *testing.T) {
	ca := newAuthority(t)
	a, b := start(t, ca, "a", func(c *Config) { c.Window = 1 }), start(t, ca, "b", nil)
	p := newProxy(t, b.addr)
	a.SetPeers([]Peer{{"b", p.addr}})
	b.SetPeers([]Peer{a.peer()})
	eventually(t, "connected", func() bool { return len(a.Connected()) == 1 })
	if back := lostInQueue(t, a, p); len(back) != 100 {
		t.Errorf("%d of 100 came back", len(back))
	}
	if d := a.read(&a.doubt); len(d) != 0 {
		t.Errorf("doubtful: %v", d)
	}
}

// What happens to the receiver of unanswered while the link is broken.
const (
	nothing = iota
	restarted
	unlisted // it takes the sender for gone, for a while
)

// unanswered breaks a link between receiving and acknowledging, and returns the sender.
func unanswered(t *testing.T, f Faults, meanwhile int) (a, b *node) {
	t.Helper()
	ca := newAuthority(t)
	a = start(t, ca, "a", func(c *Config) { c.Faults = f })
	b = start(t, ca, "b", func(c *Config) {
		c.Faults = f
		if meanwhile == unlisted {
			c.Doubt = time.Millisecond // what it has sent itself does not matter, and keeps it from forgetting
		}
	})
	// Acknowledgements go through the proxy, frames too: those of b are held, a's are not.
	p := newProxy(t, b.addr)
	a.SetPeers([]Peer{{"b", p.addr}})
	b.SetPeers([]Peer{a.peer()})
	eventually(t, "connected", func() bool { return len(a.Connected()) == 1 && len(b.Connected()) == 1 })
	p.set(func() { p.deaf = true })
	a.send(t, "b", kept, "x")
	eventually(t, "it has come", func() bool { return len(b.read(&b.came)) == 1 })
	p.set(func() { p.drop = true })
	p.cut() // before what was held goes on
	p.set(func() { p.deaf = false })
	eventually(t, "both have noticed", func() bool { return downs(a) >= 1 && downs(b) >= 1 })
	switch meanwhile {
	case unlisted:
		b.SetPeers(nil)
		eventually(t, "the sender is forgotten", func() bool { return b.Mesh.peer("a") == nil })
		b.SetPeers([]Peer{a.peer()})
	case restarted:
		b.Close()
		b2 := start(t, ca, "b", nil)
		p.set(func() { p.to = b2.addr })
		b2.SetPeers([]Peer{a.peer()})
	}
	p.set(func() { p.drop = false })
	eventually(t, "connected again", func() bool { return ups(a) >= 2 })
	return a, b
}

// TestAnswerSettlesDoubt: what had come does not come back, though it was not acknowledged.
func TestAnswerSettlesDoubt(t *testing.T) {
	a, b := unanswered(t, Faults{}, nothing)
	if back, doubt := a.read(&a.back), a.read(&a.doubt); len(back)+len(doubt) != 0 {
		t.Errorf("came back: %v, doubtful: %v", back, doubt)
	}
	if got := b.read(&b.came); len(got) != 1 {
		t.Errorf("came: %v", got)
	}
}

// countsOutlive tells whether what was counted of a link is still there when its other end was not listed for a while, and came back.
func countsOutlive(t *testing.T, f Faults) bool {
	t.Helper()
	ca := newAuthority(t)
	a, b := start(t, ca, "a", func(c *Config) { c.Faults = f }), start(t, ca, "b", nil)
	meet(t, a, b)
	b.Reconnect("a") // for a it is cut off
	eventually(t, "a new pair", func() bool { return ups(a) == 2 && ups(b) == 2 })
	before := a.Status()[0]
	a.SetPeers(nil)
	b.SetPeers(nil)
	b.Reconnect("a")
	eventually(t, "it is forgotten", func() bool { return a.Mesh.peer("b") == nil && b.Mesh.peer("a") == nil })
	gone := a.Status()[0]
	if before.Resets != 1 || gone.Listed || gone.Connected || gone.Queue != 0 {
		t.Errorf("before: %+v, while it is gone: %+v", before, gone)
	}
	meet(t, a, b)
	after := a.Status()[0]
	return gone.Resets >= before.Resets && after.Resets >= gone.Resets && after.Listed && after.Connected
}

// TestCountersNeverFall: those of a link outlive it, as those of Prometheus have to.
func TestCountersNeverFall(t *testing.T) {
	if !countsOutlive(t, Faults{}) {
		t.Error("counters have begun anew")
	}
}

func TestNoticesForgottenCounters(t *testing.T) {
	if countsOutlive(t, Faults{NoMemory: true}) {
		t.Error("the planted bug does not show")
	}
}

// TestAnswerAfterAWhile is the same with a receiver whose gossip took the sender for dead meanwhile.
func TestAnswerAfterAWhile(t *testing.T) {
	a, b := unanswered(t, Faults{}, unlisted)
	if back, doubt := a.read(&a.back), a.read(&a.doubt); len(back)+len(doubt) != 0 {
		t.Errorf("came back: %v, doubtful: %v", back, doubt)
	}
	if got := b.read(&b.came); len(got) != 1 {
		t.Errorf("came: %v", got)
	}
}

func TestNoticesForgottenStream(t *testing.T) {
	if a, _ := unanswered(t, Faults{NoMemory: true}, unlisted); len(a.read(&a.back)) != 1 {
		t.Error("who has forgotten the stream has answered for it")
	}
}

func TestNoticesUnaskedPeer(t *testing.T) {
	if a, _ := unanswered(t, Faults{NoAsking: true}, nothing); len(a.read(&a.doubt)) != 1 {
		t.Error("a peer that is not asked has answered")
	}
}

func TestNoticesMissingAcknowledgement(t *testing.T) {
	if a, _ := unanswered(t, Faults{AckLate: true}, nothing); len(a.read(&a.back)) != 1 {
		t.Error("what was not counted did not come back")
	}
}

// TestAnotherProcessLeavesDoubt: the process that could tell is gone.
func TestAnotherProcessLeavesDoubt(t *testing.T) {
	a, _ := unanswered(t, Faults{}, restarted)
	eventually(t, "it came back as doubtful", func() bool { return slices.Equal(a.read(&a.doubt), []string{"x"}) })
	if back := a.read(&a.back); len(back) != 0 {
		t.Errorf("came back without doubt: %v", back)
	}
}

// TestNoticesAnotherProcess: what the process before had is taken for what this one has not got.
func TestNoticesAnotherProcess(t *testing.T) {
	a, _ := unanswered(t, Faults{AnyProcess: true}, restarted)
	eventually(t, "it came back", func() bool { return len(a.read(&a.back))+len(a.read(&a.doubt)) == 1 })
	if back := a.read(&a.back); len(back) != 1 {
		t.Error("a process that can't know has left doubt")
	}
}

// TestTwoProcesses: streams to and from two processes of one name are no pair: they are dropped, and the server dials again.
func TestTwoProcesses(t *testing.T) {
	for _, f := range []Faults{{}, {AnyProcess: true}} {
		ca := newAuthority(t)
		dials := new(atomic.Int32)
		a := start(t, ca, "a", func(c *Config) {
			c.Faults = f
			c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, "tcp", addr)
			}
		})
		dialled, dialler := start(t, ca, "b", nil), start(t, ca, "b", nil)
		dialled.SetPeers([]Peer{{"a", "127.0.0.1:1"}})
		dialler.SetPeers([]Peer{a.peer()})
		a.SetPeers([]Peer{dialled.peer()})
		if f.AnyProcess {
			eventually(t, "the planted bug shows", func() bool { return ups(a) > 0 })
			continue
		}
		eventually(t, "it dials again", func() bool { return dials.Load() > 1 })
		if ups(a) > 0 {
			t.Error("they are taken for one")
		}
	}
}
