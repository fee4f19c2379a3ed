package datanode

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// checkTwin makes sure, before this node binds the resource of data nodes, that
// no other one is logged in with its account: a server gives the place to who
// comes last, so that a mistyped directory would throw out a healthy node. It
// logs in under a resource of its own and looks at the presence of the account's
// other sessions (RFC 6121 section 4.2.2). A session with this store is one that
// the server does not know to be over yet. Errors: ErrTwin, or the login's.
func (n *Node) checkTwin(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg := n.cfg.XMPP
	cfg.Resource = "starting-" + strings.ToLower(rand.Text()[:8])
	w := &twinWatch{n: n, seen: cancel}
	if len(cfg.Addrs) != 1 {
		w.others = n.addresses()
	}
	err := xmppconn.Run(ctx, cfg, w)
	w.stop()
	if err != nil {
		return err
	}
	if w.store != "" {
		return fmt.Errorf("%w: %s is online with store %s, and the data directory %s has store %s. Is --dir or --jid mistyped? If that node died just now, start again in a minute", ErrTwin, n.full, w.store, n.cfg.Dir, n.store)
	}
	return nil
}

// awaitTwinCheck is checkTwin, given up when the engine fails meanwhile.
func (n *Node) awaitTwinCheck(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	checked := make(chan error, 1)
	go func() { checked <- n.checkTwin(ctx) }()
	select {
	case err := <-checked:
		return err
	case err := <-n.fatal:
		cancel()
		<-checked // that it was given up is no news
		return fmt.Errorf("data node stopped: %w", err)
	}
}

// twinWatch is the handler of the look around. Its fields belong to the read
// loop until Run has returned.
type twinWatch struct {
	n     *Node
	seen  func() // all that there is to see was seen
	store string // of another data node; "" if there is none

	// others are addresses that may be at another server of a cluster, whose presence comes
	// in its own time: it is waited for if somebody answers there (XEP-0199).
	others  [2]string
	waiting map[string]bool // of them, those that have not answered or whose presence is to come
	asked   bool            // the server has answered
	timer   *time.Timer     // begun then
}

const (
	twinQuestion = "twin"
	twinMost     = time.Second // one that does not answer is a session that is over
)

func (w *twinWatch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// Up implements xmppconn.Handler: a server handles one client's stanzas in
// order, so that the answer to the IQ comes behind the presence of the others.
func (w *twinWatch) Up(c *xmppconn.Conn) {
	w.stop()
	w.asked, w.waiting = false, make(map[string]bool)
	b := []byte(`<presence><priority>-1</priority></presence>`)
	for _, address := range w.others {
		if address != "" {
			w.waiting[address] = true
			b = stanza.AppendAttr(append(b, `<iq type='get' id='`+twinQuestion+`'`...), "to", address)
			b = append(b, `><ping xmlns='urn:xmpp:ping'/></iq>`...)
		}
	}
	b = append(b, `<iq type='get' id='`+twinQuestion+`'><query xmlns='jabber:iq:roster'/></iq>`...)
	_ = c.Send(b) // lost with the stream: Up comes again
}

// answered notes that nothing more is to come from an address.
func (w *twinWatch) answered(address string) {
	delete(w.waiting, address)
	if w.asked && len(w.waiting) == 0 {
		w.seen()
	}
}

// settle notes that the server has answered.
func (w *twinWatch) settle() {
	if w.asked = true; len(w.waiting) == 0 {
		w.seen()
		return
	}
	w.timer = time.AfterFunc(twinMost, w.seen)
}

// Stanza implements xmppconn.Handler.
func (w *twinWatch) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	from := st.AttrString(st.From)
	switch {
	case st.Kind == stanza.Presence && wire.NodeJID(from) == w.n.full:
		defer w.answered(from)
		if h := healthOf(st); h == nil || h.Store == w.n.store || w.n.faults.TwinIgnored {
			break
		} else if string(st.Get(st.Type.Value)) == "" {
			w.store = h.Store
		}
	case st.Kind == stanza.IQ && st.AttrString(st.ID) == twinQuestion && wire.NodeJID(from) == w.n.full:
		if st.IsType("error") { // nobody is there
			w.answered(from)
		}
	case st.Kind == stanza.IQ && st.AttrString(st.ID) == twinQuestion:
		w.settle()
	default:
		return st.Kind != stanza.IQ
	}
	return true
}

// Idle implements xmppconn.Handler.
func (w *twinWatch) Idle(*xmppconn.Conn) {}

// Down implements xmppconn.Handler.
func (w *twinWatch) Down(error) {}
