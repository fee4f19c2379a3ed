package bosh_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/xmppd/bosh"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// choose draws a number below n.
type choose func(n int, what string) int

// network is a client of a session and the bad network between them: requests and answers are
// reordered, doubled and lost, connections break.
type network struct {
	w    *world
	sid  string
	rid  int64 // of the last request
	acks bool

	flight  []int64          // requests on their way
	wire    map[int64]string // requests that have no answer yet
	running []*run
	answers []arrival // on their way back
	told    map[int64]string
	next    int64 // whose answer the client reads next

	said, sent int // messages to the peer, messages of the peer
	heard      []string
	broken     error
	story      []string // what has happened
}

func (n *network) note(format string, args ...any) {
	n.story = append(n.story, fmt.Sprintf(format, args...))
}

type run struct {
	rid    int64
	cancel context.CancelFunc
	done   chan string
}

type arrival struct {
	rid  int64
	text string
}

const window = 2

// request makes the next request, with some messages.
func (n *network) request(messages int) {
	n.rid++
	var payload strings.Builder
	for range messages {
		fmt.Fprintf(&payload, "<message xmlns='jabber:client' to='peer@"+domain+"/x'><body>%d</body></message>", n.said)
		n.said++
	}
	attrs := ""
	if n.acks && n.next < n.rid {
		attrs = fmt.Sprintf("ack='%d'", n.next-1)
	}
	n.wire[n.rid] = body(n.sid, n.rid, attrs, payload.String())
	n.flight = append(n.flight, n.rid)
	n.note("request %d", n.rid)
	// Nothing repeats what is answered so long ago.
	n.flight = slices.DeleteFunc(n.flight, func(rid int64) bool { return rid <= n.rid-window })
}

// deliver lets a request arrive.
func (n *network) deliver(rid int64) {
	text, ok := n.wire[rid]
	if !ok { // a copy of one that the client has the answer of
		text = body(n.sid, rid, "", "")
	}
	n.note("%d arrives", rid)
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{rid: rid, cancel: cancel, done: make(chan string, 1)}
	n.running = append(n.running, r)
	go func() { r.done <- n.w.do(ctx, text) }()
	n.settle()
}

// settle waits until nothing happens and collects the answers.
func (n *network) settle() {
	synctest.Wait()
	n.running = slices.DeleteFunc(n.running, func(r *run) bool {
		select {
		case text := <-r.done:
			if text != "" {
				n.answers = append(n.answers, arrival{r.rid, text})
			}
			n.note("%d answered %.20q", r.rid, text)
			return true
		default:
			return false
		}
	})
}

// arrive gives an answer to the client, which reads answers in order.
func (n *network) arrive(i int) {
	a := n.answers[i]
	n.answers = slices.Delete(n.answers, i, i+1)
	n.note("the client has the answer of %d", a.rid)
	if strings.Contains(a.text, "terminate") && n.broken == nil {
		n.broken = fmt.Errorf("request %d ended the session: %s", a.rid, a.text)
	}
	if was, ok := n.told[a.rid]; ok {
		if was != a.text && n.broken == nil {
			n.broken = fmt.Errorf("two answers to request %d: %q, then %q", a.rid, was, a.text)
		}
		return
	}
	n.told[a.rid] = a.text
	delete(n.wire, a.rid)
	for text, ok := n.told[n.next]; ok; text, ok = n.told[n.next] {
		n.heard = append(n.heard, bodies(text)...)
		n.next++
	}
}

func (n *network) say(messages int) {
	var b session.Batch
	alice := n.w.table.Get("alice@" + domain + "/r")
	for range messages {
		if !b.Send(alice, fmt.Appendf(nil, "<message from='peer@"+domain+"/x'><body>%d</body></message>", n.sent), nil, nil, nil) {
			n.broken = fmt.Errorf("the session takes nothing more after %d messages", n.sent)
			return
		}
		n.sent++
	}
	b.Flush()
	n.settle()
}

// step is one thing that happens.
func (n *network) step(c choose) {
	switch c(9, "step") {
	case 0:
		n.say(1 + c(3, "messages"))
	case 1, 2:
		if n.wire[n.rid-window+1] == "" { // else the next one would be outside of the window
			n.request(c(3, "messages"))
		}
	case 3, 4:
		if len(n.flight) > 0 {
			i := c(len(n.flight), "request")
			rid := n.flight[i]
			n.flight = slices.Delete(n.flight, i, i+1)
			n.deliver(rid)
		}
	case 5: // the client or something on the way sends a request again
		if rid := n.rid - int64(c(window, "copy")); n.wire[rid] != "" {
			n.flight = append(n.flight, rid)
			n.note("a copy of %d", rid)
		}
	case 6:
		if len(n.answers) > 0 {
			n.arrive(c(len(n.answers), "answer"))
		}
	case 7:
		switch {
		case c(2, "loss") == 0 && len(n.flight) > 0:
			i := c(len(n.flight), "request")
			n.flight = slices.Delete(n.flight, i, i+1)
		case len(n.answers) > 0:
			i := c(len(n.answers), "answer")
			n.answers = slices.Delete(n.answers, i, i+1)
		case len(n.running) > 0:
			n.running[c(len(n.running), "connection")].cancel()
			n.settle()
		}
	case 8:
		time.Sleep(time.Duration(c(15, "seconds")) * time.Second)
		n.settle()
	}
}

// drain lets the network be good until everybody has everything, or nothing more comes.
func (n *network) drain() {
	for range 20 {
		for i := 0; len(n.answers) > 0 && i < 100; i++ {
			n.arrive(0)
		}
		if len(n.heard) >= n.sent && len(n.wire) == 0 || n.broken != nil {
			break
		}
		if len(n.wire) == 0 {
			n.request(0)
		}
		n.flight = nil
		for _, rid := range slices.Sorted(func(yield func(int64) bool) {
			for rid := range n.wire {
				if !yield(rid) {
					return
				}
			}
		}) {
			n.deliver(rid)
		}
		time.Sleep(20 * time.Second)
		n.settle()
	}
}

func (n *network) check() error {
	if n.broken != nil {
		return n.broken
	}
	inOrder := func(who string, got []string, want int) error {
		for i, s := range got {
			if s != fmt.Sprint(i) {
				return fmt.Errorf("%s: message %d is %s; all: %v", who, i, s, got)
			}
		}
		if len(got) != want {
			return fmt.Errorf("%s has %d of %d messages", who, len(got), want)
		}
		return nil
	}
	if err := inOrder("the peer", bodies(n.w.received()), n.said); err != nil {
		return err
	}
	return inOrder("the client", n.heard, n.sent)
}

// exactlyOnce runs a session over a bad network, then over a good one: each message has come once,
// in order, both ways.
func exactlyOnce(t failer, c choose, steps int, faults bosh.Faults) error {
	w := newWorld(bosh.Config{Wait: 10 * time.Second, Inactivity: time.Hour, Faults: faults})
	defer w.close(t)
	n := &network{w: w, wire: map[int64]string{}, told: map[int64]string{}, acks: c(2, "acks") == 1}
	attrs := create
	if n.acks {
		attrs += " ack='1'"
	}
	n.sid, n.rid = w.login(t, "alice", attrs, 1+int64(c(1<<30, "rid")))
	n.next = n.rid + 1
	for range steps {
		if n.step(c); n.broken != nil {
			break
		}
	}
	n.drain()
	for _, r := range n.running {
		r.cancel()
	}
	synctest.Wait()
	if err := n.check(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(n.story, "\n"))
	}
	return nil
}

// bubble hides the deadline of a test, which must not be asked for inside of one.
type bubble struct{ rapid.TB }

func TestExactlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(t *rapid.T) {
			c := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
			if err := exactlyOnce(t, c, rapid.IntRange(0, 120).Draw(t, "steps"), bosh.Faults{}); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// TestExactlyOnceNotices: the test above fails for servers with these bugs.
func TestExactlyOnceNotices(t *testing.T) {
	for name, faults := range map[string]bosh.Faults{
		"repeated requests answered with nothing": {ForgetReplies: true},
		"repeated requests handled again":         {HandleCopies: true},
		"requests handled as they come":           {AnyOrder: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for seed := range uint64(300) {
					rng := rand.New(rand.NewPCG(seed, 1))
					if err := exactlyOnce(t, func(n int, _ string) int { return rng.IntN(n) }, 60, faults); err != nil {
						t.Logf("seed %d: %v", seed, err)
						return
					}
				}
				t.Error("nothing was noticed")
			})
		})
	}
}
