package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/contacts"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

// Errors of the package.
var (
	// ErrNoRing: no data node that answers knows a ring.
	ErrNoRing = errors.New("no data node that is online knows a ring: start those that are down, or bootstrap a new store")
	// ErrNoNode: no data node is online.
	ErrNoNode = errors.New("no data node is available in the roster")
)

// The answers of data nodes.
type (
	// Identity is who a data node is.
	Identity = adminxml.Identity
	// NodeStatus is a data node in detail.
	NodeStatus = adminxml.NodeStatus
	// Where is where a root lives.
	Where = adminxml.Where
)

// askTimeout is the longest that one node may take for one answer.
const askTimeout = 5 * time.Second

// Client is an operator's connection. It is safe for concurrent use and stays
// logged in until Close.
type Client struct {
	nodes *nodes
	iqs   xmppconn.IQs

	cancel context.CancelFunc
	ended  chan struct{} // closed when the stream is over for good
	err    error         // why; read after ended

	mu   sync.Mutex
	conn *xmppconn.Conn // nil while down
	why  error          // the last failure of the stream or of a login
	up   chan struct{}  // closed at the first login
}

// Connect logs in and returns when the presence of the contacts known to the
// server has arrived. ctx bounds that only. Errors: xmppconn.ErrAuth and
// ErrPolicy, or ctx's with the last failure.
func Connect(ctx context.Context, cfg xmppconn.Config) (*Client, error) {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Client{nodes: newNodes(), cancel: cancel, ended: make(chan struct{}), up: make(chan struct{})}
	var last error
	var lastMu sync.Mutex
	told := cfg.OnRetry
	cfg.OnRetry = func(err error, pause time.Duration) {
		lastMu.Lock()
		last = err
		lastMu.Unlock()
		c.noteDown(err)
		if told != nil {
			told(err, pause)
		}
	}
	go func() {
		defer close(c.ended)
		c.err = xmppconn.Run(run, cfg, handler{c})
	}()
	select {
	case <-c.up:
	case <-c.ended:
		cancel()
		return nil, c.err
	case <-ctx.Done():
		c.Close()
		lastMu.Lock()
		defer lastMu.Unlock()
		return nil, whyNot(context.Cause(ctx), last)
	}
	if err := c.settle(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// whyNot is why a login did not come about: what ended the wait and, if it says
// more, how the last attempt failed.
func whyNot(cause, last error) error {
	if last == nil || errors.Is(cause, last) {
		return cause
	}
	return fmt.Errorf("%w; the last attempt: %w", cause, last)
}

// Down returns nil while logged in, else why not. The client goes on trying to
// log in until Close.
func (c *Client) Down() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		return nil
	}
	if c.why == nil {
		return xmppconn.ErrClosed
	}
	return c.why
}

func (c *Client) noteDown(err error) {
	c.mu.Lock()
	c.why = err
	c.mu.Unlock()
}

// Close logs out and waits until the stream has ended.
func (c *Client) Close() {
	c.cancel()
	<-c.ended
}

// Nodes lists the data nodes known, by JID: members of the ring once Ring was
// called, and contacts that are data nodes by the roster (package contacts). Who
// only announces health in presence is none.
func (c *Client) Nodes() []NodeView { return c.nodes.list() }

// do sends an IQ on the stream of now. "" is the own account.
func (c *Client) do(ctx context.Context, to, typ string, payload []byte) ([]byte, error) {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return nil, xmppconn.ErrClosed
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askTimeout, fmt.Errorf("no answer within %v", askTimeout))
	defer cancel()
	return c.iqs.Do(ctx, conn, c.nodes.address(to), typ, payload)
}

// ask runs a command on a node and decodes its JSON answer.
func (c *Client) ask(ctx context.Context, jid, typ, command, arg string, answer any) error {
	el, err := c.do(ctx, jid, typ, adminxml.Append(nil, command, arg))
	if err != nil {
		return fmt.Errorf("%s of %s: %w", command, jid, err)
	}
	_, text, err := adminxml.Parse(el)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", command, jid, err)
	}
	if err := json.Unmarshal([]byte(text), answer); err != nil {
		return fmt.Errorf("%s of %s: %w", command, jid, err)
	}
	return nil
}

// Identity asks a data node (full JID) who it is.
func (c *Client) Identity(ctx context.Context, jid string) (*Identity, error) {
	var id Identity
	if err := c.ask(ctx, jid, "get", adminxml.CmdIdentity, "", &id); err != nil {
		return nil, err
	}
	return &id, nil
}

// Status asks a data node for its details, without single groups.
func (c *Client) Status(ctx context.Context, jid string) (*NodeStatus, error) {
	var s NodeStatus
	if err := c.ask(ctx, jid, "get", adminxml.CmdStatus, "", &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// Groups asks a data node for its details with every group it holds.
func (c *Client) Groups(ctx context.Context, jid string) (*NodeStatus, error) {
	var s NodeStatus
	if err := c.ask(ctx, jid, "get", adminxml.CmdStatus, adminxml.WithGroups, &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// Ring fetches the newest ring document that the nodes online know: a document
// that was proposed with success, by whomever, is found while the leader of the
// meta group is online. Errors: ErrNoNode, ErrNoRing, or the last node's.
func (c *Client) Ring(ctx context.Context) (*ring.Document, error) {
	last := ErrNoNode
	for _, v := range c.nodes.newestFirst() {
		doc, err := c.ringOf(ctx, v.JID, 0)
		switch {
		case err == nil:
			doc = c.newerOf(ctx, doc, v.JID)
			c.nodes.members(doc)
			return doc, nil
		case isCondition(err, "item-not-found"):
			last = ErrNoRing
		default:
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// newerOf asks the other members of the meta group, which have a document before
// all others, for a newer one. Who does not answer has none.
func (c *Client) newerOf(ctx context.Context, doc *ring.Document, asked string) *ring.Document {
	ctx, cancel := context.WithTimeout(ctx, leadersTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	newest := doc
	for _, m := range doc.ReplicasOf(ring.MetaPartition) {
		if m.JID == asked || !c.nodes.online(m.JID) {
			continue
		}
		wg.Go(func() {
			d, err := c.ringOf(ctx, m.JID, doc.Epoch)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && d != nil && d.Epoch > newest.Epoch && d.Cluster == doc.Cluster {
				newest = d
			}
		})
	}
	wg.Wait()
	return newest
}

// Where asks which nodes hold a root, and which of them leads. Leader is the
// replica that says so of itself: what others remember may be of a node that is
// gone. It is empty while there is none.
func (c *Client) Where(ctx context.Context, root string) (*Where, error) {
	doc, err := c.Ring(ctx)
	if err != nil {
		return nil, err
	}
	p := doc.Partition(root)
	w := &Where{Partition: p, Epoch: doc.Epoch}
	for _, m := range doc.ReplicasOf(p) {
		w.Replicas = append(w.Replicas, m.JID)
	}
	var failed error
	answered := false
	for _, jid := range w.Replicas {
		if !c.nodes.online(jid) {
			continue
		}
		var told Where
		switch err := c.ask(ctx, jid, "get", adminxml.CmdWhere, root, &told); {
		case isCondition(err, "forbidden"):
			return nil, fmt.Errorf("%w: %w", ErrNotOperator, err)
		case err != nil:
			failed = err
		case told.Leader == jid:
			w.Leader = jid
			return w, nil
		default:
			answered = true
		}
	}
	if answered {
		failed = nil // a replica that knows of no leader is an answer
	}
	return w, failed
}

func isCondition(err error, condition string) bool {
	var e *xmppconn.StanzaError
	return errors.As(err, &e) && e.Condition == condition
}

// handler is the Client as xmppconn sees it.
type handler struct{ *Client }

// Up implements xmppconn.Handler. The priority keeps messages to the bare JID
// away (RFC 6121 section 4.7.2.3).
func (h handler) Up(conn *xmppconn.Conn) {
	h.mu.Lock()
	h.conn = conn
	h.mu.Unlock()
	// The roster that settle asks for may come on a later stream; an error here
	// ends in Down.
	_ = conn.Send([]byte(`<presence><priority>-1</priority></presence>`))
	select {
	case <-h.up:
	default:
		close(h.up)
	}
}

// Stanza implements xmppconn.Handler.
func (h handler) Stanza(conn *xmppconn.Conn, st *stanza.Stanza) bool {
	if h.iqs.Handle(st) {
		return true
	}
	switch {
	case st.Kind == stanza.Presence:
		h.nodes.presence(st)
	case st.Kind == stanza.IQ && st.ChildIs("jabber:iq:roster", "query") && string(st.Get(st.Type.Value)) == "set" && contacts.FromOwn(st.AttrString(st.From), conn.JID()):
		h.nodes.contacts(st.Get(st.Child))
		_ = conn.Send(stanza.AppendIQResult(nil, st, nil)) // an error here ends in Down
	default:
		return false
	}
	return true
}

// Idle implements xmppconn.Handler.
func (h handler) Idle(*xmppconn.Conn) {}

// Down implements xmppconn.Handler.
func (h handler) Down(err error) {
	h.mu.Lock()
	h.conn, h.why = nil, err
	h.mu.Unlock()
	h.iqs.Down()
	h.nodes.allDown()
}
