package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// flooder is one connection that does not wait for answers. It speaks the protocol stanza by stanza: the client library
// would hold a flood back.
type flooder struct {
	t       *testing.T
	info    devcluster.Info
	place   appclient.Placement
	end     func()
	iqs     xmppconn.IQs
	answers harness.Answers

	// Of who sends.
	tag, seq       uint64
	stanzas, bytes int

	mu        sync.Mutex // guards what follows
	conn      *xmppconn.Conn
	ups       int
	to        string                         // who leads
	told      map[string]int                 // answers, by code or condition
	refused   int                            // operations and stanzas
	opens     map[uint64]chan op.WriteResult // by tag
	paths     map[uint64]string              // of writes, by tag
	revisions map[string]uint64              // of the root, by path: the highest that was acknowledged
}

// newFlooder logs in.
func newFlooder(t *testing.T, c *devcluster.Cluster, account string, place appclient.Placement) *flooder {
	t.Helper()
	f := &flooder{
		t: t, info: c.Info(), place: place, to: place.Leader,
		told: map[string]int{}, opens: map[uint64]chan op.WriteResult{}, paths: map[uint64]string{}, revisions: map[string]uint64{},
	}
	f.answers = harness.Answers{Parts: wire.NewAssembler(16<<20, 64), Results: f.results, Failed: func(err error) { t.Error(err) }}
	cfg, err := f.info.Config(account)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = xmppconn.Run(ctx, cfg, f) // its errors are those of streams, which it sets up anew
	}()
	f.end = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(f.end)
	f.connected()
	return f
}

// close ends the connection; no answers are taken any more behind it.
func (f *flooder) close() { f.end() }

// connected is the stream, which is waited for.
func (f *flooder) connected() (conn *xmppconn.Conn) {
	up := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		conn = f.conn
		return conn != nil
	}
	if !up() {
		harness.Eventually(f.t, floodPatience, "the flood is logged in", up)
	}
	return conn
}

func (f *flooder) nextTag() uint64 {
	f.tag++
	return f.tag
}

func (f *flooder) leader() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.to
}

func (f *flooder) Up(c *xmppconn.Conn) {
	_ = c.Send([]byte(`<presence/>`)) // lost with the stream
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn, f.ups = c, f.ups+1
}

func (f *flooder) Down(error) {
	f.iqs.Down()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn = nil
}

func (f *flooder) Idle(*xmppconn.Conn) {}

// Stanza takes answers: results in IQs and messages, in parts or whole, and errors.
func (f *flooder) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	if f.iqs.Handle(st) {
		return true
	}
	if st.IsType("error") {
		f.bounced(xmppconn.ParseError(st))
		return true
	}
	if st.Kind == stanza.Presence {
		return true
	}
	f.answers.Take(st)
	return st.Kind == stanza.Message || !st.IsType("get") && !st.IsType("set")
}

// bounced takes a stanza that was refused as a whole. A server on the way gives no hint when to come again.
func (f *flooder) bounced(why *xmppconn.StanzaError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[why.Condition]++
	if why.Condition == "bad-request" {
		f.t.Errorf("told of a mistake: %s", why.Text)
	}
	if why.Condition != "resource-constraint" {
		return
	}
	f.refused++
	if after, byNode := wire.ParseRetry(why.App); why.Type != "wait" || byNode && after <= 0 {
		f.t.Errorf("refused with type %q, and to come again in %d ms", why.Type, after)
	}
}

func (f *flooder) results(res *wire.Response) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range res.Reads {
		f.code(res.Reads[i].Code, res.Reads[i].RetryAfter)
	}
	for i := range res.Writes {
		w := &res.Writes[i]
		f.code(w.Code, w.RetryAfter)
		if ch := f.opens[w.Tag]; ch != nil {
			ch <- w.WriteResult
			delete(f.opens, w.Tag)
		}
		if path := f.paths[w.Tag]; path != "" && w.Code == op.OK {
			f.revisions[path] = max(f.revisions[path], w.Revision)
		}
		if w.Code == op.Redirect && w.Leader != "" {
			f.to = w.Leader
		}
		delete(f.paths, w.Tag)
	}
}

// code counts an answer. The lock is held.
func (f *flooder) code(c op.Code, after int64) {
	f.told[wire.CodeName(c)]++
	if c != op.Overloaded {
		return
	}
	if f.refused++; after <= 0 {
		f.t.Error("refused without a hint when to come again")
	}
}

// open opens a session in the root's partition.
func (f *flooder) open() (session op.Session) {
	f.t.Helper()
	harness.Eventually(f.t, floodPatience, "a session is opened", func() bool {
		answer := make(chan op.WriteResult, 1)
		tag := f.nextTag()
		f.mu.Lock()
		f.opens[tag] = answer
		f.mu.Unlock()
		f.message(&wire.Request{Opens: []wire.Open{{Tag: tag, Partition: f.place.Partition}}})
		select {
		case res := <-answer:
			session = res.Session
			return res.Code == op.OK
		case <-time.After(5 * time.Second): // it was lost; another one is no harm
			return false
		}
	})
	return session
}

// position is that of the root's partition.
func (f *flooder) position() (position uint64) {
	f.t.Helper()
	req := &wire.Request{Epoch: 1, Reads: []wire.Read{{Tag: f.nextTag(), Partition: f.place.Partition, Read: op.Read{Kind: op.Changes, Root: floodRoot}}}}
	harness.Eventually(f.t, floodPatience, "a position is told", func() bool {
		el := f.ask(f.leader(), wire.AppendRequest(nil, req))
		res, err := wire.ParseResponse(el)
		if err != nil || len(res.Reads) != 1 || res.Reads[0].Code != op.OK {
			return false
		}
		position = res.Reads[0].Position
		return !res.Reads[0].More
	})
	return position
}

// ask asks by IQ; nil: no answer.
func (f *flooder) ask(to string, payload []byte) []byte {
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	if conn == nil {
		return nil
	}
	el, err := f.iqs.Do(ctx, conn, to, "get", payload)
	if err != nil {
		return nil
	}
	return el
}

// terms are those of the partitions, the highest of what the data nodes say; nil: one does not answer.
func (f *flooder) terms() []uint64 {
	highest, groups := make([]uint64, floodPartitions), make([]uint64, floodPartitions)
	for i := range groups {
		groups[i] = uint64(i)
	}
	for i, node := range f.info.Nodes {
		_, terms, err := wire.ParseTerms(f.ask(node.JID, wire.AppendTerms(nil, uint64(i+1), groups)), nil)
		if err != nil || len(terms) != floodPartitions {
			return nil
		}
		for g, term := range terms {
			highest[g] = max(highest[g], term)
		}
	}
	return highest
}

// lost tells how many terms have begun.
func lost(before, after []uint64) string {
	if before == nil || after == nil {
		return "not told"
	}
	n := uint64(0)
	for g := range after {
		n += after[g] - min(after[g], before[g])
	}
	return fmt.Sprint(n)
}
