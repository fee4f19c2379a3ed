package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// rawClient speaks the protocol stanza by stanza, so that the tests see what a
// client in another language sees.
type rawClient struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  chan struct{}
	iqs    xmppconn.IQs
	up     chan struct{}

	answers harness.Answers

	mu       sync.Mutex
	conn     *xmppconn.Conn
	tag      uint64
	writes   map[uint64]chan op.WriteResult
	reads    map[uint64]chan op.ReadResult
	received map[string]chan struct{}
	errors   map[string]chan *xmppconn.StanzaError // by the id of what was sent
}

func (c *cluster) rawClient(name string) *rawClient {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &rawClient{
		t: c.t, cancel: cancel, ended: make(chan struct{}), up: make(chan struct{}),
		writes: map[uint64]chan op.WriteResult{}, reads: map[uint64]chan op.ReadResult{},
		received: map[string]chan struct{}{}, errors: map[string]chan *xmppconn.StanzaError{},
	}
	fail := func(err error) { c.t.Error(err) }
	r.answers = harness.Answers{Parts: wire.NewAssembler(16<<20, 4), Results: r.results, Received: r.receipt, Failed: fail, Broken: fail}
	go func() {
		defer close(r.ended)
		_ = xmppconn.Run(ctx, c.srv.login(name), r)
	}()
	c.t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	select {
	case <-r.up:
	case <-r.ended:
		c.t.Fatal("login refused")
	case <-time.After(patience):
		c.t.Fatal("no login")
	}
	return r
}

func (r *rawClient) Up(c *xmppconn.Conn) {
	r.mu.Lock()
	r.conn = c
	r.mu.Unlock()
	_ = c.Send([]byte(`<presence/>`))
	select {
	case <-r.up:
	default:
		close(r.up)
	}
}

func (r *rawClient) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	if r.iqs.Handle(st) {
		return true
	}
	if st.Kind != stanza.Message {
		return false
	}
	if st.IsType("error") {
		r.mu.Lock()
		ch := r.errors[st.AttrString(st.ID)]
		r.mu.Unlock()
		select {
		case ch <- xmppconn.ParseError(st):
		default: // each part of a request is bounced
		}
		return true
	}
	r.answers.Take(st)
	return true
}

func (r *rawClient) receipt(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch := r.received[id]; ch != nil {
		close(ch)
		delete(r.received, id)
	}
}

func (r *rawClient) results(res *wire.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range res.Writes {
		if ch := r.writes[w.Tag]; ch != nil {
			ch <- w.WriteResult
			delete(r.writes, w.Tag)
		}
	}
	for _, x := range res.Reads {
		if ch := r.reads[x.Tag]; ch != nil {
			ch <- x.ReadResult
			delete(r.reads, x.Tag)
		}
	}
}

func (r *rawClient) Idle(*xmppconn.Conn) {}
func (r *rawClient) Down(error)          { r.iqs.Down() }

// failures returns the channel for errors that answer the stanza with the id.
func (r *rawClient) failures(id string) chan *xmppconn.StanzaError {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.errors[id] == nil {
		r.errors[id] = make(chan *xmppconn.StanzaError, 1)
	}
	return r.errors[id]
}

// send sends a request to a node and returns the channel that its receipt
// closes, and the one for an error.
func (r *rawClient) send(to string, req *wire.Request) (received chan struct{}, failed chan *xmppconn.StanzaError) {
	r.t.Helper()
	id := fmt.Sprint("m", r.nextTag())
	failed = r.failures(id)
	r.mu.Lock()
	received = make(chan struct{})
	r.received[id] = received
	conn := r.conn
	r.mu.Unlock()
	parts := wire.Split(wire.AppendRequest(nil, req), 128<<10, id)
	for _, p := range parts {
		// A stream that is down loses it, as a network does.
		_ = conn.Send(wire.AppendMessage(nil, to, id, true, p))
	}
	return received, failed
}

// attempt is how long a client waits for a replica before it asks another one.
const attempt = 5 * time.Second

// one sends one open or write and waits for result and receipt; false when no
// answer came in time.
func (r *rawClient) one(to string, req *wire.Request, tag uint64, wait time.Duration) (op.WriteResult, bool) {
	r.t.Helper()
	ch := make(chan op.WriteResult, 1)
	r.mu.Lock()
	r.writes[tag] = ch
	r.mu.Unlock()
	received, failed := r.send(to, req)
	select {
	case res := <-ch:
		select {
		case <-received:
		case <-time.After(patience):
			r.t.Errorf("result %+v came without a receipt", res)
		}
		return res, true
	case e := <-failed:
		return op.WriteResult{Code: op.Unavailable, Text: e.Error()}, true
	case <-time.After(wait):
		return op.WriteResult{}, false
	}
}

func (r *rawClient) nextTag() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tag++
	return r.tag
}

// toLeader sends a write or open to the replicas in turn, following redirects,
// until it is answered for good: as a client does.
func (c *cluster) toLeader(r *rawClient, p uint32, req func(tag uint64) *wire.Request) op.WriteResult {
	c.t.Helper()
	candidates := []string{}
	for _, m := range c.doc.ReplicasOf(p) {
		candidates = append(candidates, m.JID)
	}
	to, last := candidates[0], op.WriteResult{}
	deadline := time.Now().Add(patience)
	for i := 1; time.Now().Before(deadline); i++ {
		tag := r.nextTag()
		res, ok := r.one(to, req(tag), tag, attempt)
		to = candidates[i%len(candidates)]
		if !ok {
			continue
		}
		last = res
		switch res.Code {
		case op.Redirect:
			if res.Leader != "" {
				to = res.Leader
			}
		case op.Retry, op.Unavailable:
		default:
			return res
		}
		time.Sleep(5 * time.Millisecond) // between two tries
	}
	c.t.Fatalf("no final answer in time; last %+v", last)
	return last
}

// session opens a session in a root's partition.
func (c *cluster) session(r *rawClient, root string) op.Session {
	c.t.Helper()
	p := c.doc.Partition(root)
	res := c.toLeader(r, p, func(tag uint64) *wire.Request {
		return &wire.Request{Epoch: 1, Opens: []wire.Open{{Tag: tag, Partition: p}}}
	})
	if res.Code != op.OK || res.Session == 0 {
		c.t.Fatalf("open a session: %+v", res)
	}
	return res.Session
}

func (c *cluster) write(r *rawClient, w op.Write) op.WriteResult {
	c.t.Helper()
	p := c.doc.Partition(w.Root)
	return c.toLeader(r, p, func(tag uint64) *wire.Request {
		return &wire.Request{Epoch: 1, Writes: []wire.Write{{Tag: tag, Partition: p, Write: w}}}
	})
}

func put(s op.Session, seq uint64, root, path string, value []byte) op.Write {
	return op.Write{Root: root, Session: s, Seq: seq, Floor: seq, Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: value}}}
}

// readAt asks one node by IQ.
func (r *rawClient) readAt(to string, req *wire.Request) (*wire.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	r.mu.Lock()
	conn := r.conn
	r.mu.Unlock()
	el, err := r.iqs.Do(ctx, conn, to, "get", wire.AppendRequest(nil, req))
	if err != nil {
		return nil, err
	}
	return wire.ParseResponse(el)
}

// read reads from whoever leads.
func (c *cluster) read(r *rawClient, rd op.Read) op.ReadResult {
	c.t.Helper()
	p := c.doc.Partition(rd.Root)
	var candidates []string
	for _, m := range c.doc.ReplicasOf(p) {
		candidates = append(candidates, m.JID)
	}
	to, last := candidates[0], ""
	deadline := time.Now().Add(patience)
	for i := 1; time.Now().Before(deadline); i++ {
		res, err := r.readAt(to, &wire.Request{Epoch: 1, Reads: []wire.Read{{Tag: 1, Partition: p, Read: rd}}})
		to = candidates[i%len(candidates)]
		if err != nil {
			last = err.Error()
			continue
		}
		if len(res.Reads) != 1 {
			c.t.Fatalf("%d answers to one read", len(res.Reads))
		}
		x := res.Reads[0].ReadResult
		switch x.Code {
		case op.Redirect:
			if x.Leader != "" {
				to = x.Leader
			}
		case op.Retry, op.Unavailable:
		default:
			return x
		}
		last = fmt.Sprint(x.Code, x.Text)
		time.Sleep(5 * time.Millisecond) // between two tries
	}
	c.t.Fatalf("no read in time; last %s", last)
	return op.ReadResult{}
}

func get(root, path string) op.Read { return op.Read{Kind: op.Get, Root: root, Path: path} }
