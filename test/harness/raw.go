package harness

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// Raw is a login that speaks stanzas, for tests that look at the protocol itself.
type Raw struct {
	t    testing.TB
	iqs  xmppconn.IQs
	up   chan *xmppconn.Conn
	conn *xmppconn.Conn
	done chan error

	mu       sync.Mutex
	messages []Message
}

// Message is a message stanza that came in.
type Message struct {
	From string
	XML  []byte
}

// Login logs in with the settings of an account, announces presence, and logs
// out with the test.
func Login(t testing.TB, cfg xmppconn.Config) *Raw {
	t.Helper()
	r := &Raw{t: t, up: make(chan *xmppconn.Conn, 16), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.done <- xmppconn.Run(ctx, cfg, (*rawHandler)(r)) }()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	select {
	case r.conn = <-r.up:
	case <-time.After(startTimeout):
		t.Fatalf("%s is not logged in after %v", cfg.JID, startTimeout)
	}
	return r
}

// JID is the full JID of the login.
func (r *Raw) JID() string { return r.conn.JID() }

// Send sends stanzas as they are.
func (r *Raw) Send(stanzas []byte) {
	r.t.Helper()
	if err := r.conn.Send(stanzas); err != nil {
		r.t.Fatalf("send: %v", err)
	}
	r.conn.Flush()
}

// IQ asks and returns the result's child.
func (r *Raw) IQ(to, typ, payload string) []byte {
	r.t.Helper()
	el, err := r.TryIQ(r.t.Context(), to, typ, payload)
	if err != nil {
		r.t.Fatalf("IQ to %q: %v", to, err)
	}
	return el
}

// TryIQ is IQ where an error may be the answer wanted.
func (r *Raw) TryIQ(ctx context.Context, to, typ, payload string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return r.iqs.Do(ctx, r.conn, to, typ, []byte(payload))
}

// Messages returns what came so far.
func (r *Raw) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message(nil), r.messages...)
}

// Await waits for a message that fits, and returns it.
func (r *Raw) Await(what string, fits func(Message) bool) Message {
	r.t.Helper()
	var found Message
	Eventually(r.t, startTimeout, what, func() bool {
		for _, m := range r.Messages() {
			if fits(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// rawHandler is Raw as xmppconn sees it.
type rawHandler Raw

func (h *rawHandler) Up(c *xmppconn.Conn) {
	_ = c.Send([]byte("<presence/>")) // an error here ends in Down, and in a time-out of the test
	h.up <- c
}

func (h *rawHandler) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	if h.iqs.Handle(st) {
		return true
	}
	if st.Kind == stanza.Message {
		h.mu.Lock()
		h.messages = append(h.messages, Message{From: st.AttrString(st.From), XML: bytes.Clone(st.Raw)})
		h.mu.Unlock()
	}
	return st.Kind != stanza.IQ
}

func (h *rawHandler) Idle(*xmppconn.Conn) {}

func (h *rawHandler) Down(error) { h.iqs.Down() }
