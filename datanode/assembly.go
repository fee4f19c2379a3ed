package datanode

import (
	"slices"
	"strconv"
	"sync"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// assemblyWaits is how many large stanzas of peers may wait to be read. Then the read
// loop waits, and the server with it: the windows of peers see to it that this does not
// happen.
const assemblyWaits = 64

// assembly reads what is large, in parts above all, beside the read loop: to decode
// a large value takes a slow machine as long as hundreds of stanzas that are urgent.
// What is large may therefore be overtaken by what came behind it from others.
type assembly struct {
	h       *handler
	peers   chan partStanza
	others  largeQueue // of clients
	running sync.WaitGroup

	peerParts   *wire.Assembler // of the goroutine for peers
	clientParts *wire.Assembler // of that for clients
}

// partStanza is a message with parts, or a large one, or the word that its sender has gone.
type partStanza struct {
	conn    *xmppconn.Conn
	st      *stanza.Stanza // nil: gone
	peer    *peer          // the sender, or
	client  *client
	receipt bool
	gone    string
}

func newAssembly(h *handler) *assembly {
	a := &assembly{
		h: h, peers: make(chan partStanza, assemblyWaits),
		peerParts:   wire.NewAssembler(maxPeerElement, maxPeerParts),
		clientParts: wire.NewAssembler(wire.MaxRequest, maxClientParts),
	}
	a.clientParts.HoldAtMost(maxClientHeld)
	a.others.init()
	return a
}

// start runs until end.
func (a *assembly) start() {
	a.running.Go(func() {
		for p := range a.peers {
			a.fromPeer(p)
		}
	})
	a.running.Go(func() {
		for p, ok := a.others.take(); ok; p, ok = a.others.take() {
			a.fromClient(p)
		}
	})
}

// end may be called when nothing more is put in.
func (a *assembly) end() {
	close(a.peers)
	a.others.close()
	a.running.Wait()
}

// put takes a copy of a message of which not more than the parts is looked at. False: too
// much of the sender's account waits already.
func (a *assembly) put(p partStanza) bool {
	if p.peer != nil {
		a.peers <- p
		return true
	}
	return a.others.put(p, a.h.n.faults.ReadLoopWaits)
}

// fromPeer tells the sender of a part that it is there, which opens the sender's
// window again.
func (a *assembly) fromPeer(p partStanza) {
	parts := 0
	defer a.h.n.buffers.put(p.st.Raw)
	for _, el := range elementsOf(p.st) {
		whole, done := el, true
		if isPart(el) {
			parts++
			var err error
			if whole, done, err = a.peerParts.Add(p.peer.jid, el); err != nil {
				continue // Raft repeats what got lost
			}
		}
		if done {
			a.h.batch(p.peer, p.peer.index(p.st.AttrString(p.st.From)), whole)
		}
	}
	if parts > 0 && p.conn != nil {
		b := appendGot(append([]byte(nil), p.peer.headers[p.peer.index(p.st.AttrString(p.st.From))]...), parts)
		_ = p.conn.Send(append(b, noStore+`</message>`...)) // lost: the sender goes on after a while
	}
}

func (a *assembly) fromClient(p partStanza) {
	if p.st == nil {
		a.clientParts.Forget(p.gone)
		return
	}
	h, c := a.h, p.client
	defer h.n.buffers.put(p.st.Raw)
	defer c.aside.Add(-1)
	h.lockLow()
	denied, unserving := h.rights(c).none(), h.unserving()
	h.mu.Unlock()
	if p.st.Kind == stanza.IQ {
		a.readIQ(p)
		return
	}
	els := elementsOf(p.st)
	if (denied || unserving != "") && slices.ContainsFunc(els, isPart) {
		if unserving != "" {
			h.refuse(p.conn, p.st, "item-not-found", unserving)
		} else {
			h.refuse(p.conn, p.st, "forbidden", textDenied)
		}
		return
	}
	reqs, ok := h.decode(p.conn, p.st, els, func(part []byte) ([]byte, bool, error) {
		return a.clientParts.Add(c.jid, part)
	})
	if !ok || len(reqs) == 0 {
		return
	}
	h.lockLow()
	defer h.mu.Unlock()
	h.requests(c, p.st.AttrString(p.st.ID), p.receipt, reqs)
	h.submit()
}

// readIQ takes many reads of an IQ.
func (a *assembly) readIQ(p partStanza) {
	h := a.h
	req, ok := h.parseReads(p.conn, p.st, p.st.Get(p.st.Child))
	if !ok {
		return
	}
	h.lockLow()
	h.reads(p.client, p.st.AttrString(p.st.ID), req)
	h.submit()
	h.mu.Unlock()
	h.n.streams.push()
}

// elementsOf are the elements of a message that are ours.
func elementsOf(st *stanza.Stanza) (els [][]byte) {
	p := stanza.Parse(st.Raw)
	p.Next()
	for ev := p.Next(); ev != stanza.EOF; ev = p.Next() {
		if ev != stanza.Start {
			continue
		}
		if ns := string(p.NS()); ns == wire.NS || ns == wire.NSRaft {
			els = append(els, p.Element())
		} else {
			p.Skip()
		}
	}
	return els
}

func appendGot(dst []byte, parts int) []byte {
	dst = append(dst, "<got xmlns='"+wire.NSRaft+"' parts='"...)
	return append(strconv.AppendInt(dst, int64(parts), 10), "'/>"...)
}

func partsGot(el []byte) (parts int, ok bool) {
	p := stanza.Parse(el)
	if p.Next() != stanza.Start || string(p.Name()) != "got" {
		return 0, false
	}
	a, _ := p.Attr("parts")
	n, err := strconv.ParseUint(string(a), 10, 16)
	return int(n), err == nil
}
