package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// TestRoles: who may do what is decided by the address the server stamps.
func TestRoles(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app, other, user := c.rawClient("app"), c.rawClient("app2"), c.rawClient("user")
	s := c.session(app, "root")
	if res := c.write(other, put(s, 1, "root", "x", nil)); res.Code != op.Denied {
		t.Errorf("write on another account's session: %+v", res)
	}
	if res := c.write(user, put(s, 1, "root", "x", nil)); res.Code != op.Denied {
		t.Errorf("write by a chat user: %+v", res)
	}
	if res := c.read(user, get("root", "x")); res.Code != op.Denied {
		t.Errorf("read by a chat user: %+v", res)
	}
	ctx := t.Context()
	if _, err := user.iqs.Do(ctx, user.conn, nodeJID(0), "get", wire.AppendRing(nil, 0, nil)); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("ring for a chat user: %v", err)
	}
	asApp, err := admin.Connect(ctx, c.srv.login("app2"))
	if err != nil {
		t.Fatal(err)
	}
	defer asApp.Close()
	if _, err := asApp.Status(ctx, nodeJID(0)); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("administration by an app: %v", err)
	}
	if _, err := asApp.Bootstrap(ctx, c.jids(), admin.BootstrapOptions{}); err == nil {
		t.Error("bootstrap by an app")
	}
	if _, err := asApp.Ring(ctx); err != nil {
		t.Errorf("ring for an app: %v", err)
	}
}

// TestDialWithoutContacts: an account that sees no data node is told so, long before
// its deadline.
func TestDialWithoutContacts(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	login := c.srv.login("user")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	_, err := appclient.Dial(ctx, appclient.Config{JID: login.JID, Password: login.Password, Addrs: login.Addrs, InsecurePlaintext: true})
	if !errors.Is(err, appclient.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Dial of an account in no group: %v", err)
	}
	for _, want := range []string{login.JID, "sees no data node", "group"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
}

// TestBadInput: each mistake gets one clear answer, and its neighbours their own.
func TestBadInput(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	s := c.session(app, "root")
	w := func(edit func(w *op.Write)) op.Write {
		x := put(s, 1, "root", "a", []byte("v"))
		edit(&x)
		return x
	}
	for name, try := range map[string]struct {
		w    op.Write
		code op.Code
		text string
	}{
		"control character": {w(func(w *op.Write) { w.Mutations[0].Path = "a\tb" }), op.Invalid, "U+0009"},
		"value too large":   {w(func(w *op.Write) { w.Mutations[0].Value = make([]byte, op.MaxValue+1) }), op.TooLarge, "limit"},
		"too many in a batch": {w(func(w *op.Write) {
			w.Mutations = slices.Repeat(w.Mutations, op.MaxMutations+1)
		}), op.TooLarge, "1025 mutations; the limit is 1024"},
		"no session":      {w(func(w *op.Write) { w.Session = 0 }), op.Invalid, "session"},
		"unknown session": {w(func(w *op.Write) { w.Session = 1 << 40 }), op.SessionExpired, ""},
		"empty batch":     {w(func(w *op.Write) { w.Mutations = nil }), op.Invalid, "empty"},
	} {
		res := c.write(app, try.w)
		if res.Code != try.code || !strings.Contains(res.Text, try.text) {
			t.Errorf("%s: %+v, want code %d with %q", name, res, try.code, try.text)
		}
	}
	p := c.doc.Partition("root")
	for name, try := range map[string]struct{ partition, count uint32 }{
		"wrong partition":   {(p + 1) % testPartitions, 0},
		"unknown partition": {testPartitions, 0},
	} {
		tag := app.nextTag()
		res, ok := app.one(nodeJID(0), &wire.Request{Writes: []wire.Write{{Tag: tag, Partition: try.partition, Write: put(s, 1, "root", "a", nil)}}}, tag, patience)
		if !ok || res.Code != op.Invalid || !strings.Contains(res.Text, "partition") {
			t.Errorf("%s: %+v", name, res)
		}
	}
	app.largeBatch(p, s)
	app.malformed(t)
	// Still there.
	if res := c.write(app, put(s, 1, "root", "a", []byte("v"))); res.Code != op.OK {
		t.Errorf("write after all that: %+v", res)
	}
}

// largeBatch sends a batch above the bound of bytes, each value of which is below its own.
func (r *rawClient) largeBatch(p uint32, s op.Session) {
	r.t.Helper()
	w := put(s, 1, "root", "a", make([]byte, op.MaxValue-16))
	for len(w.Mutations)*op.MaxValue <= op.MaxBatch {
		m := w.Mutations[0]
		m.Path = fmt.Sprint("b", len(w.Mutations))
		w.Mutations = append(w.Mutations, m)
	}
	tag, ch := r.nextTag(), make(chan op.WriteResult, 1)
	r.mu.Lock()
	r.writes[tag] = ch
	r.mu.Unlock()
	_, failed := r.send(nodeJID(0), &wire.Request{Writes: []wire.Write{{Tag: tag, Partition: p, Write: w}}})
	select {
	case res := <-ch:
		if res.Code != op.TooLarge || !strings.Contains(res.Text, "limit") {
			r.t.Errorf("a batch of more than 4 MiB: %+v", res)
		}
	case e := <-failed:
		r.t.Errorf("a batch of more than 4 MiB: %v", e)
	case <-time.After(patience):
		r.t.Error("a batch of more than 4 MiB: no answer")
	}
}

// malformed sends stanzas that no client should.
func (r *rawClient) malformed(t *testing.T) {
	t.Helper()
	r.failures("bad")
	for name, try := range map[string]struct{ payload, want string }{
		"ops without tag":     {`<ops xmlns='urn:rosterdb:store:1' epoch='x'/>`, "bad-request"},
		"part of nothing":     {`<part xmlns='urn:rosterdb:store:1' id='q' n='3' of='9'>AAAA</part>`, "resource-constraint"},
		"not our element":     {`<dance xmlns='urn:rosterdb:store:1'/>`, "bad-request"},
		"part, not base64":    {`<part xmlns='urn:rosterdb:store:1' id='q' n='0' of='2'>%%%%</part>`, "bad-request"},
		"too many operations": {`<ops xmlns='urn:rosterdb:store:1'>` + strings.Repeat(`<get tag='1' partition='0' root='r'/>`, 16385) + `</ops>`, "policy-violation"},
	} {
		for _, part := range wire.Split([]byte(try.payload), 180<<10, name) {
			if err := r.conn.Send([]byte(`<message type='normal' id='bad' to='` + nodeJID(0) + `'>` + string(part) + `</message>`)); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case e := <-r.failures("bad"):
			if e.Condition != try.want || e.Text == "" {
				t.Errorf("%s: %v, want %s with a text", name, e, try.want)
			}
		case <-time.After(patience):
			t.Errorf("%s: no answer", name)
		}
	}
	// Not operations of this protocol, or nobody's: no harm, no answer.
	for _, payload := range []string{
		`<raft xmlns='urn:rosterdb:raft:1' from='2' store='x'>AAAA</raft>`,
		`<raft xmlns='urn:rosterdb:raft:1'/>`,
		`<body>hello</body>`,
	} {
		if err := r.conn.Send([]byte(`<message type='normal' to='` + nodeJID(0) + `'>` + payload + `</message>`)); err != nil {
			t.Fatal(err)
		}
	}
	for name, payload := range map[string]string{
		"unknown command": `<dance xmlns='urn:rosterdb:admin:1'/>`,
		"writes in an IQ": string(wire.AppendRequest(nil, &wire.Request{Opens: []wire.Open{{Tag: 1}}})),
		"unknown IQ":      `<query xmlns='urn:example:nothing'/>`,
	} {
		if _, err := r.iqs.Do(t.Context(), r.conn, nodeJID(0), "get", []byte(payload)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestStaleStanzas: what was stored on its way is not acted on.
func TestStaleStanzas(t *testing.T) {
	c := newCluster(t, 1)
	c.bootstrap()
	app := c.rawClient("app")
	s := c.session(app, "root")
	p := c.doc.Partition("root")
	late := wire.AppendRequest(nil, &wire.Request{Writes: []wire.Write{{Tag: 77, Partition: p, Write: put(s, 1, "root", "late", nil)}}})
	delay := []byte(`<delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/>`)
	if err := app.conn.Send(wire.AppendMessage(nil, nodeJID(0), "late", true, late, delay)); err != nil {
		t.Fatal(err)
	}
	// Stanzas between two addresses stay in order: this write comes behind.
	if res := c.write(app, put(s, 2, "root", "now", nil)); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	if res := c.read(app, get("root", "late")); res.Code != op.NotFound {
		t.Fatalf("a delayed stanza was executed: %+v", res)
	}
}

// TestDiskFull: writes are refused, reads go on, presence tells, and it passes.
func TestDiskFull(t *testing.T) {
	c := newCluster(t, 1)
	var free, looks atomic.Uint64
	free.Store(10 << 30)
	c.stop(0)
	c.nodes[0].free = func(string) (uint64, uint64, error) {
		defer looks.Add(1)
		return free.Load(), 100 << 30, nil
	}
	c.start(0)
	c.eventually("the node is back", func() bool { return c.view(0).Online })
	c.bootstrap()
	app := c.rawClient("app")
	s := c.session(app, "root")
	if res := c.write(app, put(s, 1, "root", "a", []byte("1"))); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	free.Store(100 << 20)
	c.eventually("presence tells that the disk is full", func() bool {
		v := c.view(0)
		return v.Show == "dnd" && v.Health.State == wire.StateFull && strings.Contains(v.Text, "disk full")
	})
	res := c.write(app, put(s, 2, "root", "b", []byte("2")))
	if res.Code != op.Full || !strings.Contains(res.Text, "reserve") {
		t.Fatalf("write on a full disk: %+v", res)
	}
	if res := c.read(app, get("root", "a")); res.Code != op.OK {
		t.Fatalf("read on a full disk: %+v", res)
	}
	free.Store(300 << 20) // above the reserve, but not by enough
	// One look may be under way; at the third, what the second found is announced.
	seen := looks.Load()
	c.eventually("the node looks at its disk again", func() bool { return looks.Load() >= seen+3 })
	if res := c.write(app, put(s, 2, "root", "b", []byte("2"))); res.Code != op.Full {
		t.Fatalf("write at the edge: %+v", res)
	}
	if v := c.view(0); v.Health.State != wire.StateFull {
		t.Fatalf("recovered at the edge: %+v", v)
	}
	free.Store(10 << 30)
	c.eventually("presence tells that there is room", func() bool {
		v := c.view(0)
		return v.Show == "" && v.Health.State == wire.StateOK
	})
	// The refused operation was surely not applied: the same goes through now.
	if res := c.write(app, put(s, 2, "root", "b", []byte("2"))); res.Code != op.OK {
		t.Fatalf("write after recovery: %+v", res)
	}
}
