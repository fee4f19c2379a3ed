package cluster

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// What a client that stops reading waits for, and what is written meanwhile: if all of its
// answers were kept they would take more than 700 MiB on their way.
const (
	deafWatches = 8192
	deafAMess   = 128 // in a message, which is short enough not to be read aside
	deafWrites  = 200
	deafValue   = 64 << 10
	deafMost    = 256 << 20 // bytes that may be live more than before, of server, nodes and clients together
)

// deaf is a client that reads nothing more once it is told so: its read loop stands still,
// its socket fills up.
type deaf struct {
	iqs   xmppconn.IQs
	conn  atomic.Pointer[xmppconn.Conn]
	up    chan struct{} // a login
	heard atomic.Bool   // no more: reads wait for open
	open  chan struct{}
}

func (d *deaf) Up(c *xmppconn.Conn) {
	d.conn.Store(c)
	_ = c.Send([]byte(`<presence/>`))
	select {
	case d.up <- struct{}{}:
	default:
	}
}

func (d *deaf) Stanza(_ *xmppconn.Conn, st *stanza.Stanza) bool {
	if d.heard.Load() {
		<-d.open
	}
	return d.iqs.Handle(st) || st.Kind != stanza.IQ
}

func (d *deaf) Idle(*xmppconn.Conn) {}
func (d *deaf) Down(error)          { d.iqs.Down() }

// deafClient logs in and has its reads of changes parked.
func (c *cluster) deafClient(root string) *deaf {
	c.t.Helper()
	d := &deaf{up: make(chan struct{}, 1), open: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	cfg := c.srv.login("app2")
	cfg.PingAfter, cfg.DeadAfter = time.Hour, time.Hour // it does not end the stream
	go func() {
		defer close(ended)
		_ = xmppconn.Run(ctx, cfg, d)
	}()
	c.t.Cleanup(func() { cancel(); d.listen(); <-ended })
	d.await(c.t)
	p := c.doc.Partition(root)
	read := wire.Read{Partition: p, Read: op.Read{Kind: op.Changes, Root: root, Values: true, Wait: 60_000}}
	for range deafWatches / deafAMess {
		q := &wire.Request{Epoch: 1}
		for range deafAMess {
			read.Tag++
			q.Reads = append(q.Reads, read)
		}
		if err := d.conn.Load().Send(wire.AppendMessage(nil, nodeJID(0), "w", false, wire.AppendRequest(nil, q))); err != nil {
			c.t.Fatal(err)
		}
	}
	c.eventually("the node has taken the reads", func() bool { return d.asks(root, p) })
	return d
}

// asks reads something, behind all that was sent before.
func (d *deaf) asks(root string, p uint32) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience/4)
	defer cancel()
	_, err := d.iqs.Do(ctx, d.conn.Load(), nodeJID(0), "get", wire.AppendRequest(nil, &wire.Request{
		Epoch: 1, Reads: []wire.Read{{Tag: 1, Partition: p, Read: get(root, "p")}},
	}))
	return err == nil
}

func (d *deaf) await(t *testing.T) {
	t.Helper()
	select {
	case <-d.up:
	case <-time.After(patience):
		t.Fatal("no login")
	}
}

// listen has it read again.
func (d *deaf) listen() {
	if d.heard.Swap(false) {
		close(d.open)
	}
}

// sessions is the number of sessions at the server.
func (s *server) sessions(t *testing.T) float64 {
	_, _, http := s.Addrs()
	return harness.Metrics(t.Context(), http, "xmppd_sessions")
}

// live is what is in use after a collection of garbage, in bytes.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestWatcherThatReadsNothing: a client with thousands of parked reads of changes stops
// reading its socket while another one writes what they wait for. All writes succeed, nodes and server keep a
// bounded part of the answers, the server ends the session, and the client is served again
// when it reads.
func TestWatcherThatReadsNothing(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	writer := c.rawClient("app")
	s := c.session(writer, "hot")
	d := c.deafClient("hot")
	const all = 6 // sessions: nodes, the operator, the writer, and the one that reads nothing
	c.eventually("all are logged in", func() bool { return c.srv.sessions(t) == all })
	d.heard.Store(true)

	before := live()
	var peak atomic.Uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond): // between looks
				peak.Store(max(peak.Load(), live()))
			}
		}
	})
	longest := time.Duration(0)
	for i := range uint64(deafWrites) {
		began := time.Now()
		if res := c.write(writer, put(s, i+1, "hot", "p", make([]byte, deafValue))); res.Code != op.OK {
			t.Errorf("write %d: %+v", i+1, res)
		}
		longest = max(longest, time.Since(began))
	}
	c.within(5*time.Minute, "the server has ended the session", func() bool { return c.srv.sessions(t) == all-1 })
	close(stop)
	wg.Wait()
	grown := int64(max(peak.Load(), live())) - int64(before)
	t.Logf("%d writes, the longest %v; %d MiB more in use at most", deafWrites, longest, grown>>20)
	if grown > deafMost {
		t.Errorf("%d MiB more are in use", grown>>20)
	}
	d.listen()
	d.await(t)
	c.eventually("it is served again", func() bool { return d.asks("hot", c.doc.Partition("hot")) })
}
