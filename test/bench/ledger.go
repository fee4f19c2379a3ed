package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// fate is what became of one message.
type fate struct {
	sent                        time.Time
	delivered, bounced, fetched int
}

// ledger counts the messages of some pairs of clients.
type ledger struct {
	name    string
	pattern *regexp.Regexp // of marks
	mu      sync.Mutex
	all     map[string]*fate // by what the message's body and id say
	last    time.Time        // something came
}

func newLedger(name string) *ledger {
	return &ledger{name: name, pattern: regexp.MustCompile(`L-` + name + `-\d+-\d+`), all: make(map[string]*fate)}
}

// mark is in the body and the id of a message.
func (l *ledger) mark(pair, n int) string { return fmt.Sprintf("L-%s-%d-%d", l.name, pair, n) }

// noted is called with each message that a client gets; it may have come back as an error.
func (l *ledger) noted(message []byte, back bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.all[string(l.pattern.Find(message))]
	if f == nil {
		return // of another ledger
	}
	l.last = time.Now()
	switch {
	case back:
		f.bounced++
	case bytes.Contains(message, []byte("urn:xmpp:delay")): // it was kept
		f.fetched++
	default:
		f.delivered++
	}
}

// ledgerClient is a client of a ledger, sender or receiver.
type ledgerClient struct {
	*ledger
	connMu sync.Mutex
	conn   *xmppconn.Conn // nil: not logged in
	up     chan struct{}
	once   sync.Once
}

func (c *ledgerClient) Up(conn *xmppconn.Conn) {
	_ = conn.Send([]byte("<presence/>")) // a stream that has ended is told by Down
	conn.Flush()
	c.connMu.Lock()
	c.conn = conn
	c.connMu.Unlock()
	c.once.Do(func() { close(c.up) })
}

func (c *ledgerClient) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	if st.Kind == stanza.Message {
		c.noted(st.Raw, st.IsType("error"))
	}
	return st.Kind != stanza.IQ
}

func (c *ledgerClient) Idle(*xmppconn.Conn) {}

func (c *ledgerClient) Down(error) {
	c.connMu.Lock()
	c.conn = nil
	c.connMu.Unlock()
}

// send sends a message if the client is logged in.
func (c *ledgerClient) send(to, mark string) {
	c.connMu.Lock()
	conn := c.conn
	c.connMu.Unlock()
	if conn == nil {
		return
	}
	c.ledger.mu.Lock()
	c.all[mark] = &fate{sent: time.Now()}
	c.ledger.mu.Unlock()
	if conn.Send([]byte("<message type='chat' id='"+mark+"' to='"+to+"'><body>"+mark+"</body></message>")) != nil {
		c.ledger.mu.Lock()
		delete(c.all, mark) // it has not left
		c.ledger.mu.Unlock()
		return
	}
	conn.Flush()
}

// login logs a client in that stays at its server as long as this one lets it.
func (l *ledger) login(ctx context.Context, runs *sync.WaitGroup, user int, resource string, where []string) (*ledgerClient, error) {
	c := &ledgerClient{ledger: l, up: make(chan struct{})}
	runs.Go(func() {
		_ = xmppconn.Run(ctx, xmppconn.Config{ // it ends with the context's error
			JID: "u" + strconv.Itoa(user) + "@localhost", Password: "secret", Resource: resource, Addrs: where,
			InsecurePlaintext: true, PingAfter: time.Hour, DeadAfter: 2 * time.Hour,
		}, c)
	})
	select {
	case <-c.up:
		return c, nil
	case <-time.After(wholeTime):
		return nil, fmt.Errorf("u%d can't log in at %s", user, where[0])
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// quiet waits until nothing has come for a while.
func (l *ledger) quiet(ctx context.Context, still, most time.Duration) error {
	for end := time.Now().Add(most); time.Now().Before(end); {
		l.mu.Lock()
		idle := time.Since(l.last)
		l.mu.Unlock()
		if idle > still {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sum tells of the messages that were sent from one time to another; a zero one is no limit.
func (l *ledger) sum(from, to time.Time) sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sent, delivered, kept, bounced, vanished, twice float64
	for _, f := range l.all {
		if f.sent.Before(from) || !to.IsZero() && f.sent.After(to) {
			continue
		}
		sent++
		switch {
		case f.delivered > 0:
			delivered++
		case f.fetched > 0:
			kept++
		case f.bounced > 0:
			bounced++
		default:
			vanished++
		}
		if f.delivered+f.fetched+f.bounced > 1 {
			twice++
		}
	}
	return sample{"sent": sent, "delivered": delivered, "kept": kept, "bounced": bounced, "vanished": vanished, "twice": twice}
}
