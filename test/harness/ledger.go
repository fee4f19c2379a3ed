package harness

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Ledger counts messages from one client to one address: each has to be delivered, to come back to its
// sender, or to be kept and delivered later, once.
type Ledger struct {
	name string
	from *Ear
	to   string
	mu   sync.Mutex
	sent int
	done chan struct{}
	wg   sync.WaitGroup
}

// Keep begins to send, a message each few milliseconds, until Stop.
func Keep(name string, from *Ear, to string) *Ledger {
	l := &Ledger{name: name, from: from, to: to, done: make(chan struct{})}
	l.wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-l.done:
				return
			case <-tick.C:
			}
			l.mu.Lock()
			n := l.sent
			l.sent++
			l.mu.Unlock()
			if l.from.TrySend(fmt.Sprintf("<message type='chat' to='%s' id='%s-%d'><body>%s %d.</body></message>", l.to, name, n, name, n)) != nil {
				return // a sender whose server does not read any more
			}
		}
	})
	return l
}

// Sent counts what was sent so far.
func (l *Ledger) Sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// More waits until so many more messages are sent.
func (l *Ledger) More(t testing.TB, n int) {
	t.Helper()
	from := l.Sent()
	Eventually(t, startTimeout, l.name+" goes on", func() bool { return l.Sent() >= from+n })
}

// Stop sends no more.
func (l *Ledger) Stop() {
	close(l.done)
	l.wg.Wait()
}

// Outcome says what became of the messages.
type Outcome struct {
	Sent, Delivered, Bounced, Twice int
	heard, lost, twice              []int
}

// Lost counts the messages that nobody has heard of.
func (o Outcome) Lost() int { return o.Sent - o.Delivered - o.Bounced }

// Heard are the numbers of the messages that have come, ascending.
func (o Outcome) Heard() []int { return o.heard }

// Missing are the numbers of the messages that nobody has heard of, ascending.
func (o Outcome) Missing() []int { return o.lost }

func (o Outcome) String() string {
	return fmt.Sprintf("%d sent = %d delivered + %d bounced + %d lost; %d twice", o.Sent, o.Delivered, o.Bounced, o.Lost(), o.Twice)
}

// Look counts what has come to receivers, and back to the sender, so far. A message that did both counts as
// delivered, and as one that came twice.
func (l *Ledger) Look(receivers ...*Ear) (o Outcome) {
	o.Sent = l.Sent()
	come := make(map[string]int)
	for _, r := range receivers {
		r.numbers(`<body>`+regexp.QuoteMeta(l.name)+` (\d+)\.</body>`, come)
	}
	returned := make(map[string]int)
	l.from.numbers(`id='`+regexp.QuoteMeta(l.name)+`-(\d+)'`, returned)
	for n := range o.Sent {
		got, back := come[strconv.Itoa(n)], returned[strconv.Itoa(n)]
		switch {
		case got > 0:
			o.Delivered++
			o.heard = append(o.heard, n)
		case back > 0:
			o.Bounced++
		default:
			o.lost = append(o.lost, n)
		}
		if got+back > 1 {
			o.Twice++
			o.twice = append(o.twice, n)
		}
	}
	return o
}

// numbers counts what a pattern's first group has found.
func (e *Ear) numbers(pattern string, in map[string]int) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(e.Heard(), -1) {
		in[m[1]]++
	}
}

// about is the last message of a ledger that has come, with what is around it.
func (e *Ear) about(name string, n int) string {
	all := e.Heard()
	at := max(strings.LastIndex(all, fmt.Sprintf("<body>%s %d.</body>", name, n)), strings.LastIndex(all, fmt.Sprintf("id='%s-%d'", name, n)))
	if at < 0 {
		return ""
	}
	return all[max(0, at-300):min(len(all), at+300)]
}

// Later logs a user in at all servers that run, and listens: what they have kept comes, be it that each keeps
// for itself or that they share it.
func (sv *Servers) Later(user string) (ears []*Ear) {
	sv.t.Helper()
	for _, m := range sv.Running() {
		e := Listen(m.Login(sv.t, user, "later-"+m.Name))
		e.Send("<presence/>")
		ears = append(ears, e)
	}
	return ears
}

// Settle waits until each message has come to one of the receivers, or back, and checks that none did so twice.
func (l *Ledger) Settle(t testing.TB, receivers ...*Ear) Outcome {
	t.Helper()
	var o Outcome
	for end := time.Now().Add(startTimeout); ; time.Sleep(100 * time.Millisecond) { // between looks
		if o = l.Look(receivers...); o.Lost() == 0 {
			break
		}
		if time.Now().After(end) {
			t.Errorf("%s: %v: %v", l.name, o, o.lost)
			return o
		}
	}
	for _, n := range o.twice {
		for _, e := range append(receivers, l.from) {
			t.Errorf("%s: message %d twice: %q", l.name, n, e.about(l.name, n))
		}
	}
	t.Logf("%s: %v", l.name, o)
	return o
}
