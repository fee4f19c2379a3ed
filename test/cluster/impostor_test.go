package cluster

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/ring"
)

// impostor is an account that shows itself as a data node of a newer ring, of which it is the only member.
type impostor struct {
	cluster string
	up      chan *xmppconn.Conn
	asked   atomic.Int64 // for its ring
}

const forgedEpoch = 1_000_000

func (x *impostor) Up(c *xmppconn.Conn) {
	health := wire.AppendHealth(nil, &wire.Health{Member: 1, State: wire.StateOK, Epoch: forgedEpoch, Store: "5c0d9a40-0000-4000-8000-000000000001", Cluster: x.cluster})
	_ = c.Send(append(append([]byte(`<presence>`), health...), `</presence>`...))
	// To who would not see it otherwise, too.
	_ = c.Send(append(append([]byte(`<presence to='operator@`+domain+`'>`), health...), `</presence>`...))
	x.up <- c
}

func (x *impostor) Stanza(c *xmppconn.Conn, st *stanza.Stanza) bool {
	if st.Kind != stanza.IQ || string(st.Get(st.ChildName)) != "ring" {
		return false
	}
	x.asked.Add(1)
	doc := &ring.Document{
		Version: ring.FormatVersion, Cluster: x.cluster, Epoch: forgedEpoch, Partitions: testPartitions, Replicas: 1, Meta: []uint64{1},
		Members: []ring.Member{{ID: 1, JID: c.JID(), Store: "5c0d9a40-0000-4000-8000-000000000001", State: "active"}},
	}
	for range testPartitions {
		doc.Table = append(doc.Table, []uint64{1})
	}
	if b, err := ring.Encode(doc); err == nil {
		_ = c.Send(stanza.AppendIQResult(nil, st, wire.AppendRing(nil, forgedEpoch, b)))
	}
	return true
}

func (x *impostor) Idle(*xmppconn.Conn) {}
func (x *impostor) Down(error)          {}

// TestImpostor: applications that have a group are one another's contacts, and anybody may send presence to
// an operator. Neither makes a data node, whose ring would be believed.
func TestImpostor(t *testing.T) {
	c := newCluster(t, 1)
	c.bootstrap()
	c.awaitLed()
	for _, account := range []string{"app2", "user"} { // of a group, and of none
		x := &impostor{cluster: c.doc.Cluster, up: make(chan *xmppconn.Conn, 8)}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cfg := c.srv.login(account)
		cfg.Resource = "store"
		ended := make(chan error, 1)
		go func() { ended <- xmppconn.Run(ctx, cfg, x) }()
		select {
		case <-x.up:
		case err := <-ended:
			t.Fatal(err)
		}
		// The server has handled the presence when it has answered what was sent behind it.
		for range 5 {
			app, err := appclient.Dial(ctx, appclient.Config{JID: "app@" + domain, Password: password, Addrs: []string{c.srv.addr}, InsecurePlaintext: true})
			if err != nil {
				t.Fatalf("beside %s: %v", account, err)
			}
			if _, err := app.Root("r").Put(ctx, "x", []byte(account)); err != nil || app.Stats().Epoch == forgedEpoch {
				t.Errorf("beside %s: put: %v; epoch %d", account, err, app.Stats().Epoch)
			}
			if err := app.Close(); err != nil {
				t.Error(err)
			}
			op, err := admin.Connect(ctx, c.srv.login("operator"))
			if err != nil {
				t.Fatal(err)
			}
			doc, err := op.Ring(ctx)
			if err != nil || doc.Epoch != c.doc.Epoch || len(op.Nodes()) != 1 {
				t.Errorf("beside %s: the operator's ring: %+v %v; data nodes %+v", account, doc, err, op.Nodes())
			}
			op.Close()
		}
		if doc, err := c.op.Ring(ctx); err != nil || doc.Epoch != c.doc.Epoch { // it has got the presence by now
			t.Errorf("beside %s: the ring of an operator who was there before: %+v %v", account, doc, err)
		}
		if n := x.asked.Load(); n != 0 {
			t.Errorf("%s was asked for its ring %d times", account, n)
		}
		cancel()
		<-ended
	}
}
