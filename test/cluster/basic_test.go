package cluster

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

func TestWriteReadRestart(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	root := "net/http"
	s := c.session(app, root)
	for i := range 20 {
		res := c.write(app, put(s, uint64(i+1), root, fmt.Sprint("file", i), []byte(fmt.Sprint("value ", i))))
		if res.Code != op.OK || len(res.Items) != 1 || res.Items[0].Version == 0 {
			t.Fatalf("write %d: %+v", i, res)
		}
	}
	check := func() {
		t.Helper()
		for i := range 20 {
			res := c.read(app, get(root, fmt.Sprint("file", i)))
			if res.Code != op.OK || len(res.Objects) != 1 || string(res.Objects[0].Value) != fmt.Sprint("value ", i) {
				t.Fatalf("read %d: %+v", i, res)
			}
		}
	}
	check()
	// A retry of an old operation changes nothing.
	again := c.write(app, put(s, 20, root, "file19", []byte("value 19")))
	if again.Code != op.OK {
		t.Fatalf("retry: %+v", again)
	}
	for i := range c.nodes {
		c.stop(i)
		c.start(i)
		c.eventually("node is back", func() bool { return c.view(i).Online && c.view(i).Health.State == "ok" })
		check()
	}
	for i := range c.nodes {
		c.stop(i)
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.awaitOnline()
	c.awaitLed()
	check()
}

func TestLargeValue(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	root := "large"
	s := c.session(app, root)
	value := bytes.Repeat([]byte("0123456789abcdef"), op.MaxValue/16)
	if res := c.write(app, put(s, 1, root, "", value)); res.Code != op.OK {
		t.Fatalf("write of 1 MiB: %+v", res)
	}
	var got []byte
	rd := get(root, "")
	for range 100 {
		res := c.read(app, rd)
		if res.Code != op.OK || len(res.Objects) != 1 {
			t.Fatalf("read at %d: %+v", rd.Offset, res)
		}
		o := res.Objects[0]
		got = append(got, o.Value...)
		rd.Offset, rd.Version = uint64(len(got)), o.Version
		if uint64(len(got)) == o.Size {
			break
		}
		if len(o.Value) == 0 {
			t.Fatal("no progress")
		}
	}
	if !bytes.Equal(got, value) {
		t.Fatalf("read %d bytes, wrote %d, or they differ", len(got), len(value))
	}
}

// TestServerRestart: the data nodes come back by themselves, and so does the
// application's session.
func TestServerRestart(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	s := c.session(app, "root")
	for i := range 3 {
		seq := uint64(i + 1)
		if res := c.write(app, put(s, seq, "root", fmt.Sprint(i), []byte("v"))); res.Code != op.OK {
			t.Fatalf("write %d: %+v", i, res)
		}
		c.srv.restart(t)
		c.awaitOnline()
		c.awaitLed()
	}
	for i := range 3 {
		if res := c.read(app, get("root", fmt.Sprint(i))); res.Code != op.OK {
			t.Fatalf("read %d: %+v", i, res)
		}
	}
}

// TestReadsByMessage: what does not fit into an IQ comes in parts.
func TestReadsByMessage(t *testing.T) {
	c := newCluster(t, 1)
	c.bootstrap()
	app := c.rawClient("app")
	root := "many references"
	s := c.session(app, root)
	w := put(s, 1, root, "", nil)
	for i := range 2000 {
		w.Mutations[0].Refs = append(w.Mutations[0].Refs, op.Ref{Root: fmt.Sprintf("root %d %0300d", i, i), Path: "p"})
	}
	if res := c.write(app, w); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	if res := c.read(app, get(root, "")); res.Code != op.TooLarge {
		t.Fatalf("600 kB of references in an IQ: %+v", res.Code)
	}
	ch := make(chan op.ReadResult, 1)
	tag := app.nextTag()
	app.mu.Lock()
	app.reads[tag] = ch
	app.mu.Unlock()
	received, _ := app.send(nodeJID(0), &wire.Request{Reads: []wire.Read{{Tag: tag, Partition: c.doc.Partition(root), Read: get(root, "")}}})
	select {
	case res := <-ch:
		if res.Code != op.OK || len(res.Objects) != 1 || len(res.Objects[0].Refs) != 2000 {
			t.Fatalf("code %d, %d objects", res.Code, len(res.Objects))
		}
	case <-time.After(patience):
		t.Fatal("no answer")
	}
	<-received
}

// TestCatchUp: a node that was away gets what it missed, each write in many parts.
func TestCatchUp(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	app := c.rawClient("app")
	root := "big"
	s := c.session(app, root)
	p := c.doc.Partition(root)
	c.stop(2)
	value := bytes.Repeat([]byte("x"), 1<<20)
	const n = 8
	for i := range n {
		if res := c.write(app, put(s, uint64(i+1), root, fmt.Sprint(i), value)); res.Code != op.OK {
			t.Fatalf("write %d: %+v", i, res)
		}
	}
	applied := func(i int) uint64 {
		st, err := c.op.Groups(t.Context(), nodeJID(i))
		if err != nil {
			return 0
		}
		for _, g := range st.Groups {
			if g.Group == p {
				return g.Applied
			}
		}
		return 0
	}
	want := max(applied(0), applied(1))
	began := time.Now()
	c.start(2)
	c.within(5*time.Minute, "the node has caught up", func() bool { return applied(2) >= want })
	t.Logf("%d MiB caught up in %v", n, time.Since(began))
	// And it counts: with it alone beside one other there is a majority.
	c.stop(0)
	if res := c.write(app, put(s, n+1, root, "last", []byte("v"))); res.Code != op.OK {
		t.Fatalf("write: %+v", res)
	}
	if res := c.read(app, get(root, "0")); res.Code != op.OK || res.Objects[0].Size != 1<<20 {
		t.Fatalf("read: %+v", res)
	}
}
