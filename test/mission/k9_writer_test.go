package mission

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	contacts = 40 // of each writer, changed in turn
	privates = 20 // elements of private XML, the same
)

// writer changes all that servers keep for an account, and notes in its book what is acknowledged. One that loses its
// connection logs in again, at the next server.
type writer struct {
	user  string
	talks bool // it sends messages to an account that is away
	book  book
	round int

	mu    sync.Mutex
	conn  *xmppconn.Conn // nil: it has none
	heard strings.Builder
}

// startWriter logs a client in at the first server that there is, until the test ends.
func startWriter(t *testing.T, user string, talks bool, at ...string) *writer {
	t.Helper()
	w := &writer{user: user, talks: talks, book: make(book)}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		_ = xmppconn.Run(ctx, xmppconn.Config{ // it ends with the context's error
			JID: user + "@" + harness.Domain, Password: harness.Password, Resource: "w", Addrs: at, InsecurePlaintext: true,
		}, w)
	})
	t.Cleanup(func() { cancel(); run.Wait() })
	return w
}

func (w *writer) Up(c *xmppconn.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = c
}

func (w *writer) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard.Write(st.Raw)
	return true
}

func (*writer) Idle(*xmppconn.Conn) {}

func (w *writer) Down(error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = nil
}

// look is the connection of now, and what has come on all of them.
func (w *writer) look() (*xmppconn.Conn, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conn, w.heard.String()
}

// change is a request of a round, and the key in the book of what it changes.
type change struct{ kind, key, payload string }

// write changes one of each kind, and returns when all is answered, or the connection lost. What has no answer is doubtful.
func (w *writer) write() {
	c, _ := w.look()
	if c == nil {
		return
	}
	w.round++
	n := w.round
	all := []change{
		{"roster", fmt.Sprintf("contact %d of %s", n%contacts, w.user), fmt.Sprintf("<query xmlns='jabber:iq:roster'><item jid='c%d@example.org' name='%d.'/></query>", n%contacts, n)},
		{"private", fmt.Sprintf("element %d of %s", n%privates, w.user), fmt.Sprintf("<query xmlns='jabber:iq:private'><e xmlns='e:%d'>%d.</e></query>", n%privates, n)},
		{"vcard", "vCard of " + w.user, fmt.Sprintf("<vCard xmlns='vcard-temp'><FN>%d.</FN></vCard>", n)},
	}
	text := ""
	if w.talks {
		text = fmt.Sprintf("<message type='chat' id='m%d.' to='%s'><body>%s %d.</body></message>", n, away(w.user)+"@"+harness.Domain, w.user, n)
		for _, key := range w.copies(n) {
			w.book.try(key, 1)
		}
	}
	for _, x := range all {
		w.book.try(x.key, n)
		text += fmt.Sprintf("<iq type='set' id='%s%d.'>%s</iq>", x.kind, n, x.payload)
	}
	if c.Send([]byte(text)) != nil {
		return
	}
	c.Flush()
	answered := 0
	for end := time.Now().Add(harness.Patience); answered < len(all) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) { // the pause of a poll
		now, heard := w.look()
		answered = 0
		for _, x := range all {
			switch id := fmt.Sprintf(" id='%s%d.'", x.kind, n); {
			case strings.Contains(heard, " type='result'"+id):
				w.book.ack(x.key, n)
				answered++
			case strings.Contains(heard, id):
				answered++
			}
		}
		if now != c {
			return
		}
	}
	// What was sent before is kept by now, unless it comes back: see settle.
	if w.talks && answered == len(all) {
		for _, key := range w.copies(n) {
			w.book.ack(key, 1)
		}
	}
}

// away is the account that a writer sends messages to.
func away(user string) string { return user + "-away" }

// copies are where a message is kept: for its receiver, and in two archives.
func (w *writer) copies(n int) []string {
	return []string{
		fmt.Sprintf("message %d of %s, kept", n, w.user), fmt.Sprintf("message %d in the archive of %s", n, w.user),
		fmt.Sprintf("message %d in the archive of %s", n, away(w.user)),
	}
}

// settle takes back what has come back: it may be kept all the same. It returns how much that is.
func (w *writer) settle() (back int) {
	_, heard := w.look()
	for _, m := range regexp.MustCompile(`<message [^>]*\bid='m(\d+)\.'`).FindAllStringSubmatch(heard, -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		for _, key := range w.copies(n) {
			w.book.ack(key, 0)
		}
		back++
	}
	return back
}
