package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/datanode"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

func TestBootstrapIsIdempotent(t *testing.T) {
	c := newCluster(t, 3)
	if _, err := c.op.Ring(t.Context()); err == nil {
		t.Fatal("a ring before bootstrap")
	}
	c.bootstrap()
	again, err := c.op.Bootstrap(t.Context(), c.jids(), admin.BootstrapOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again.Cluster != c.doc.Cluster || again.Epoch != c.doc.Epoch {
		t.Fatalf("second bootstrap made %s epoch %d, first %s epoch %d", again.Cluster, again.Epoch, c.doc.Cluster, c.doc.Epoch)
	}
	for name, try := range map[string]struct {
		jids []string
		opt  admin.BootstrapOptions
		want string
	}{
		"other partitions": {c.jids(), admin.BootstrapOptions{Partitions: 99}, "fixed when it is made"},
		"fewer nodes":      {c.jids()[:2], admin.BootstrapOptions{}, "name all its nodes"},
		"nobody":           {nil, admin.BootstrapOptions{}, "name the data nodes"},
		"twice the same":   {append(c.jids(), nodeJID(0)), admin.BootstrapOptions{}, "named twice"},
	} {
		if _, err := c.op.Bootstrap(t.Context(), try.jids, try.opt); err == nil || !strings.Contains(err.Error(), try.want) {
			t.Errorf("%s: %v, want %q", name, err, try.want)
		}
	}
	c.awaitLed()
	w, err := c.op.Where(t.Context(), "some root")
	if err != nil || w.Leader == "" || len(w.Replicas) != 3 || w.Partition != c.doc.Partition("some root") {
		t.Errorf("where: %+v, %v", w, err)
	}
	st, err := c.op.Groups(t.Context(), nodeJID(1))
	if err != nil || st.Held != testPartitions || len(st.Groups) != testPartitions+1 || st.State != wire.StateOK {
		t.Errorf("status: %+v, %v", st, err)
	}
}

// TestHalfDoneBootstrap: a node that missed the first document gets it when the
// operator runs bootstrap again; it takes it from nobody else.
func TestHalfDoneBootstrap(t *testing.T) {
	c := newCluster(t, 3)
	c.awaitOnline()
	var members []ring.Member
	for _, jid := range c.jids() {
		id, err := c.op.Identity(t.Context(), jid)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, ring.Member{JID: jid, Store: id.Store})
	}
	doc, err := ring.New(members, ring.Options{Cluster: "6f1a2b3c-0000-4000-8000-000000000001", Partitions: testPartitions})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ring.Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	// As far as an operator got whose machine went down.
	operator := c.rawClient("operator")
	for i := range 2 {
		if _, err := operator.iqs.Do(t.Context(), operator.conn, nodeJID(i), "set", adminxml.Append(nil, adminxml.CmdBootstrap, string(b))); err != nil {
			t.Fatal(err)
		}
	}
	c.eventually("two of three lead everything", func() bool {
		return c.view(0).Health.Led+c.view(1).Health.Led == testPartitions
	})
	if v := c.view(2); !v.Online || v.Health.State != wire.StateJoining || v.Show != "xa" {
		t.Fatalf("the node that missed the ring: %+v", v)
	}
	again, err := c.op.Bootstrap(t.Context(), c.jids(), admin.BootstrapOptions{})
	if err != nil || again.Cluster != doc.Cluster {
		t.Fatalf("%+v, %v", again, err)
	}
	c.eventually("it serves", func() bool { return c.view(2).Health.State == wire.StateOK })
}

// TestLostState: a member whose log and state are gone, but not its identity,
// does not start as if it had never voted.
func TestLostState(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	c.stop(2)
	for _, f := range []string{"wal", "state.db", "ring"} {
		if err := os.RemoveAll(c.nodes[2].dir + "/" + f); err != nil {
			t.Fatal(err)
		}
		if err := datanode.Run(t.Context(), c.config(2)); !errors.Is(err, replication.ErrLostState) {
			t.Fatalf("started without %s: %v", f, err)
		}
	}
}

// TestWipedDisk: a node with an empty disk under a member's name is a stranger,
// to the others and to itself, and the cluster goes on without it.
func TestWipedDisk(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	s := c.session(app, "root")
	if res := c.write(app, put(s, 1, "root", "a", []byte("1"))); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	c.stop(2)
	if err := os.RemoveAll(c.nodes[2].dir); err != nil {
		t.Fatal(err)
	}
	c.start(2)
	c.eventually("the wiped node calls itself a stranger", func() bool {
		v := c.view(2)
		return v.Online && v.Health.State == wire.StateStranger && v.Show == "xa" && strings.Contains(v.Text, "stranger")
	})
	if _, err := c.op.Bootstrap(t.Context(), c.jids(), admin.BootstrapOptions{}); err == nil || !strings.Contains(err.Error(), "stranger") {
		t.Fatalf("bootstrap took the stranger in: %v", err)
	}
	if res := c.write(app, put(s, 2, "root", "b", []byte("2"))); res.Code != op.OK {
		t.Fatalf("write without the stranger: %+v", res)
	}
	// Neither votes nor serves.
	p := c.doc.Partition("root")
	tag := app.nextTag()
	res, ok := app.one(nodeJID(2), &wire.Request{Opens: []wire.Open{{Tag: tag, Partition: p}}}, tag, patience)
	if !ok || res.Code != op.Unavailable {
		t.Fatalf("the stranger answers %+v", res)
	}
	c.stop(1)
	tag = app.nextTag()
	if res, ok := app.one(nodeJID(0), &wire.Request{Opens: []wire.Open{{Tag: tag, Partition: p}}}, tag, attempt); ok && res.Code == op.OK {
		t.Fatal("one of three members and a stranger made a majority")
	}
	c.start(1)
	if res := c.read(app, get("root", "b")); res.Code != op.OK || string(res.Objects[0].Value) != "2" {
		t.Fatalf("read: %+v", res)
	}
}

// TestForeignDirectory: a data directory works under its own account only.
func TestForeignDirectory(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	c.stop(0)
	c.stop(1)
	cfg := c.config(1)
	cfg.Dir = c.nodes[0].dir
	if err := datanode.Run(t.Context(), cfg); !errors.Is(err, datanode.ErrConfig) || !strings.Contains(err.Error(), nodeJID(0)) {
		t.Errorf("another node's directory: %v", err)
	}
	c.start(1)
	cfg = c.config(1)
	c.eventually("dn2 is back", func() bool { return c.view(1).Online })
	if err := datanode.Run(t.Context(), cfg); !errors.Is(err, replication.ErrLocked) {
		t.Errorf("a directory in use: %v", err)
	}
	other := t.TempDir()
	if err := os.WriteFile(other+"/family-photos", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = other
	if err := datanode.Run(t.Context(), cfg); !errors.Is(err, replication.ErrForeignDir) {
		t.Errorf("somebody's photos: %v", err)
	}
}

func TestLoginErrors(t *testing.T) {
	c := newCluster(t, 1)
	cfg := c.config(0)
	cfg.Dir = t.TempDir() + "/d"
	cfg.XMPP.Password = "wrong"
	if err := datanode.Run(t.Context(), cfg); !errors.Is(err, xmppconn.ErrAuth) {
		t.Errorf("wrong password: %v", err)
	}
	// Nobody listens: it keeps trying until it is told to stop.
	cfg.XMPP = c.srv.login("dn1")
	cfg.XMPP.Addrs = []string{"127.0.0.1:1"}
	retried := make(chan struct{}, 16)
	cfg.XMPP.OnRetry = func(error, time.Duration) {
		select {
		case retried <- struct{}{}:
		default:
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- datanode.Run(ctx, cfg) }()
	for range 2 {
		select {
		case <-retried:
		case err := <-ended:
			t.Fatalf("gave up: %v", err)
		case <-time.After(patience):
			t.Fatal("no second try")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stopped while trying: %v", err)
	}
	// A second data node under the same account, by a mistyped directory, does not
	// throw out the first.
	c.awaitOnline()
	cfg = c.config(0)
	cfg.Dir = t.TempDir() + "/d"
	if err := datanode.Run(t.Context(), cfg); !errors.Is(err, datanode.ErrTwin) || !strings.Contains(err.Error(), "mistyped") {
		t.Errorf("a twin: %v", err)
	}
	select {
	case err := <-c.nodes[0].ended:
		t.Errorf("the healthy node ended: %v", err)
	default:
	}
}
