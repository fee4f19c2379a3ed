package cluster

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
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
