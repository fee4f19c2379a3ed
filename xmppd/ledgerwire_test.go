package xmppd_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/test/xmppraw"
)

// ledgerWire is one connection of a client. Whoever made it writes; a goroutine of its own reads.
type ledgerWire struct {
	conn  net.Conn
	books *books
	state *ledgerState
	in    []byte // read ahead of the reader

	pongs chan string   // ids of answers
	done  chan struct{} // closed when the reader is

	mu sync.Mutex // of writes: the reader acknowledges
}

// ledgerState is what a client knows of its session, over all its connections.
type ledgerState struct {
	name string // localpart

	mu      sync.Mutex
	managed bool   // with stream management
	id      string // to resume by
	handled uint32 // stanzas got
	sent    uint32 // stanzas that the server must have handled
	unacked []string
	acked   uint32
}

// dialLedger opens a connection and logs in, up to the features behind that.
func dialLedger(b *books, st *ledgerState, addr string, secure bool) (*ledgerWire, error) {
	conn, err := net.DialTimeout("tcp", addr, xmppraw.Patience)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: xmppraw.Domain}) //nolint:gosec // self-signed
	}
	w := &ledgerWire{conn: conn, books: b, state: st, pongs: make(chan string, 1000), done: make(chan struct{})}
	auth := base64.StdEncoding.EncodeToString([]byte("\x00" + st.name + "\x00" + xmppraw.Password))
	for _, step := range [][2]string{
		{xmppraw.Header, "</stream:features>"},
		{"<auth xmlns='" + xmppraw.NSSASL + "' mechanism='PLAIN'>" + auth + "</auth>", "<success"},
		{xmppraw.Header, "</stream:features>"},
	} {
		if _, err := w.ask(step[0], step[1]); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("log in %s: %w", st.name, err)
		}
	}
	return w, nil
}

// ask writes something and reads to the end of one of the texts. It is for the time before read.
func (w *ledgerWire) ask(say string, texts ...string) (string, error) {
	if err := w.write(say); err != nil {
		return "", err
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(xmppraw.Patience))
	for {
		for _, text := range texts {
			if before, rest, ok := strings.Cut(string(w.in), text); ok {
				w.in = []byte(rest)
				return before + text, nil
			}
		}
		buf := make([]byte, 32<<10)
		n, err := w.conn.Read(buf)
		w.in = append(w.in, buf[:n]...)
		if err != nil {
			return "", fmt.Errorf("waiting for %q, got %q: %w", texts, w.in, err)
		}
	}
}

func (w *ledgerWire) write(s string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(xmppraw.Patience))
	_, err := io.WriteString(w.conn, s)
	return err
}

// bind begins a session and comes on line.
func (w *ledgerWire) bind(resource string) error {
	_, err := w.ask("<iq type='set' id='b'><bind xmlns='"+xmppraw.NSBind+"'><resource>"+resource+"</resource></bind></iq>", "</iq>")
	if err == nil && w.state.managed {
		err = w.enable()
	}
	if err != nil {
		return err
	}
	go w.read()
	return w.count("<presence/>")
}

// enable switches stream management on.
func (w *ledgerWire) enable() error {
	got, err := w.ask("<enable xmlns='"+nsSM+"' resume='true'/>", "max='300'/>")
	if err != nil {
		return err
	}
	_, id, _ := strings.Cut(got, " id='")
	st := w.state
	st.mu.Lock()
	defer st.mu.Unlock()
	st.id, _, _ = strings.Cut(id, "'")
	st.handled, st.sent, st.acked, st.unacked = 0, 0, 0, nil
	return nil
}

// errNotResumed: the session is gone.
var errNotResumed = errors.New("not resumed")

// resume goes on with the session, and says again what the server has not got.
func (w *ledgerWire) resume() error {
	st := w.state
	st.mu.Lock()
	ask := fmt.Sprintf("<resume xmlns='%s' h='%d' previd='%s'/>", nsSM, st.handled, st.id)
	st.mu.Unlock()
	got, err := w.ask(ask, "<resumed ", "</failed>")
	if err != nil {
		return err
	}
	if strings.HasSuffix(got, "</failed>") {
		return fmt.Errorf("%w: %s", errNotResumed, got)
	}
	if got, err = w.ask("", "/>"); err != nil {
		return err
	}
	_, h, _ := strings.Cut(got, "h='")
	h, _, _ = strings.Cut(h, "'")
	w.ack(h)
	st.mu.Lock()
	again := strings.Join(st.unacked, "")
	st.mu.Unlock()
	go w.read()
	return w.write(again)
}

// count writes a stanza that counts.
func (w *ledgerWire) count(s string) error {
	st := w.state
	st.mu.Lock()
	st.sent++
	if st.managed {
		st.unacked = append(st.unacked, s)
	}
	st.mu.Unlock()
	return w.write(s)
}

// ack notes what the server has handled.
func (w *ledgerWire) ack(h string) {
	n, err := strconv.ParseUint(h, 10, 32)
	st := w.state
	st.mu.Lock()
	defer st.mu.Unlock()
	gone := uint32(n) - st.acked
	if err != nil || int(gone) > len(st.unacked) {
		w.books.complain("%s: %d stanzas acknowledged behind %d, %d are not", st.name, n, st.acked, len(st.unacked))
		return
	}
	st.unacked, st.acked = st.unacked[gone:], uint32(n)
}

// ping waits until the server has handled all that was sent. false: the connection is gone.
func (w *ledgerWire) ping(id string) bool {
	if w.count("<iq type='get' id='"+id+"' to='"+xmppraw.Domain+"'><ping xmlns='urn:xmpp:ping'/></iq>") != nil {
		return false
	}
	late := time.NewTimer(xmppraw.Patience)
	defer late.Stop()
	for {
		select {
		case got := <-w.pongs:
			if got == id {
				return true
			}
		case <-w.done:
			return false
		case <-late.C:
			w.books.complain("%s: no answer to %s", w.state.name, id)
			return false
		}
	}
}

// read takes what comes until the end.
func (w *ledgerWire) read() {
	defer close(w.done)
	_ = w.conn.SetReadDeadline(time.Time{})
	scan, buf := stanza.NewScanner(stanza.Unlimited()), w.in
	for {
		for {
			st, n, err := scan.Next(buf)
			if err != nil {
				w.books.complain("%s got no XML: %v: %q", w.state.name, err, buf)
				return
			}
			buf = buf[n:]
			if st == nil {
				break
			}
			if st.Kind == stanza.StreamEnd {
				return
			}
			w.take(st)
		}
		more := make([]byte, 16<<10)
		n, err := w.conn.Read(more)
		buf = append(buf, more[:n]...)
		if n == 0 && err != nil {
			return
		}
	}
}

func (w *ledgerWire) take(st *stanza.Stanza) {
	id := st.AttrString(st.ID)
	switch {
	case st.Kind == stanza.Nonza:
		w.nonza(st)
		return
	case st.Kind == stanza.Message && st.IsType("error"):
		w.books.bounce(id)
	case st.Kind == stanza.Message:
		w.books.deliver(w.state.name, id)
	case st.Kind == stanza.IQ && st.IsType("result"):
		w.pongs <- id
	}
	w.state.mu.Lock()
	w.state.handled++
	w.state.mu.Unlock()
}

func (w *ledgerWire) nonza(st *stanza.Stanza) {
	p := stanza.Parse(st.Raw)
	p.Next()
	switch h, _ := p.Attr("h"); string(p.Name()) {
	case "a":
		w.ack(string(h))
	case "r":
		w.acknowledge()
	}
}

func (w *ledgerWire) acknowledge() {
	w.state.mu.Lock()
	answer := fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, w.state.handled)
	w.state.mu.Unlock()
	_ = w.write(answer) // a broken connection is found out by who reads
}

// leave closes the stream and waits until all has come.
func (w *ledgerWire) leave() {
	_ = w.write("</stream:stream>")
	w.wait()
}

// wait waits for the end of the stream.
func (w *ledgerWire) wait() {
	select {
	case <-w.done:
	case <-time.After(xmppraw.Patience):
		w.books.complain("%s: the stream does not end", w.state.name)
	}
	_ = w.conn.Close()
	<-w.done
}

// cut breaks the connection.
func (w *ledgerWire) cut() {
	_ = w.conn.Close()
	<-w.done
}

// stop makes the client take no more from a connection, which the server still has.
func (w *ledgerWire) stop() {
	_ = w.conn.SetReadDeadline(time.Unix(1, 0))
	<-w.done
}
