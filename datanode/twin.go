package datanode

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
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
	if err := xmppconn.Run(ctx, cfg, w); err != nil {
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
}

const twinQuestion = "twin"

// Up implements xmppconn.Handler: a server handles one client's stanzas in
// order, so that the answer to the IQ comes behind the presence of the others.
func (w *twinWatch) Up(c *xmppconn.Conn) {
	_ = c.Send([]byte(`<presence><priority>-1</priority></presence>` +
		`<iq type='get' id='` + twinQuestion + `'><query xmlns='jabber:iq:roster'/></iq>`)) // lost with the stream: Up comes again
}

// Stanza implements xmppconn.Handler.
func (w *twinWatch) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	switch {
	case st.Kind == stanza.Presence && st.AttrString(st.From) == w.n.full:
		if h := healthOf(st); h == nil || h.Store == w.n.store || w.n.faults.TwinIgnored {
			break
		} else if string(st.Get(st.Type.Value)) == "" {
			w.store = h.Store
		}
	case st.Kind == stanza.IQ && st.AttrString(st.ID) == twinQuestion:
		w.seen()
	default:
		return st.Kind != stanza.IQ
	}
	return true
}

// Idle implements xmppconn.Handler.
func (w *twinWatch) Idle(*xmppconn.Conn) {}

// Down implements xmppconn.Handler.
func (w *twinWatch) Down(error) {}
