package mission

import (
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"
)

// wiretap sits between one client and the XMPP server on a plain-text stream:
// it notes the messages with store operations and their receipts, and can drop
// receipts.
type wiretap struct {
	server   string
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	conns    []net.Conn
	requests []tapped
	receipts []tapped
	drop     func(n int) bool // told the how manieth receipt it is, from 1; nil drops none
	seen     int
	dropped  int
}

// tapped is a message as it went by.
type tapped struct{ to, from, id, xml string }

func tap(t *testing.T, server string) *wiretap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{server: server, listener: l}
	w.wg.Go(w.accept)
	return w
}

func (w *wiretap) addr() string { return w.listener.Addr().String() }

func (w *wiretap) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.server)
		if err != nil {
			client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, server)
		w.mu.Unlock()
		w.wg.Go(func() { w.copy(server, client, w.request) })
		w.wg.Go(func() { w.copy(client, server, w.receipt) })
	}
}

// close ends all connections and waits for the copying to end.
func (w *wiretap) close() {
	w.listener.Close()
	w.mu.Lock()
	for _, c := range w.conns {
		c.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// cut ends the connections that there are; the client may log in again.
func (w *wiretap) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// copy passes bytes on; whole message stanzas are shown to pass first, which
// says whether they go on.
func (w *wiretap) copy(to, from net.Conn, pass func(xml []byte) bool) {
	defer to.Close()
	var held []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := from.Read(chunk)
		held = append(held, chunk[:n]...)
		var out []byte
		out, held = split(held, pass)
		if len(out) > 0 {
			if _, err := to.Write(out); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return
			}
			_, _ = to.Write(held) // the peer may be gone already
			return
		}
	}
}

// split takes what may go on from the front: everything up to a message that is
// not complete. A tail that could be the beginning of one is held back too.
func split(held []byte, pass func([]byte) bool) (out, rest []byte) {
	const begin, end = "<message", "</message>"
	for {
		i := bytes.Index(held, []byte(begin))
		if i < 0 {
			keep := 0
			if lt := bytes.LastIndexByte(held, '<'); lt >= 0 && bytes.HasPrefix([]byte(begin), held[lt:]) {
				keep = len(held) - lt
			}
			cut := len(held) - keep
			return append(out, held[:cut]...), held[cut:]
		}
		j := bytes.Index(held[i:], []byte(end))
		if j < 0 {
			return append(out, held[:i]...), held[i:]
		}
		stop := i + j + len(end)
		out = append(out, held[:i]...)
		if pass(held[i:stop]) {
			out = append(out, held[i:stop]...)
		}
		held = held[stop:]
	}
}

var (
	headTag   = regexp.MustCompile(`^<message[^>]*>`)
	receiptID = regexp.MustCompile(`<received[^>]*\sid=['"]([^'"]*)['"]`)
)

func attribute(xml []byte, name string) string {
	m := regexp.MustCompile(`\s` + name + `=['"]([^'"]*)['"]`).FindSubmatch(headTag.Find(xml))
	if m == nil {
		return ""
	}
	return string(m[1])
}

func (w *wiretap) request(xml []byte) bool {
	if bytes.Contains(xml, []byte("urn:rosterdb:store:1")) {
		w.mu.Lock()
		defer w.mu.Unlock()
		id := attribute(xml, "id")
		if !bytes.Contains(xml, []byte("urn:xmpp:receipts")) {
			id = "" // no receipt is asked for
		}
		w.requests = append(w.requests, tapped{to: attribute(xml, "to"), id: id, xml: string(xml)})
	}
	return true
}

func (w *wiretap) receipt(xml []byte) bool {
	ids := receiptID.FindAllSubmatch(xml, -1)
	if ids == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	if w.drop != nil && w.drop(w.seen) {
		w.dropped++
		return false
	}
	for _, id := range ids {
		w.receipts = append(w.receipts, tapped{from: attribute(xml, "from"), id: string(id[1]), xml: string(xml)})
	}
	return true
}

// take returns what went by since the last call.
func (w *wiretap) take() (requests, receipts []tapped) {
	w.mu.Lock()
	defer w.mu.Unlock()
	requests, receipts = w.requests, w.receipts
	w.requests, w.receipts = nil, nil
	return requests, receipts
}

// dropReceipts sets which receipts are dropped from now on; nil: none.
func (w *wiretap) dropReceipts(drop func(n int) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop, w.seen = drop, 0
}

func (w *wiretap) droppedReceipts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}
