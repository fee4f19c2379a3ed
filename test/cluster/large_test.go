package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

func (c *cluster) client(name string) (*appclient.Client, context.Context) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	c.t.Cleanup(cancel)
	login := c.srv.login(name)
	client, err := appclient.Dial(ctx, appclient.Config{JID: login.JID, Password: login.Password, Addrs: login.Addrs, InsecurePlaintext: true})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { client.Close() }) //nolint:errcheck // never fails
	return client, ctx
}

// TestLargestObject: what may be written can be read, though its references fit no IQ
// and hardly a message; what cannot be sent is refused at once.
func TestLargestObject(t *testing.T) {
	c := newCluster(t, 1)
	c.bootstrap()
	client, ctx := c.client("app")
	root := client.Root("largest")
	var refs []appclient.Ref
	for i := range op.MaxRefs {
		refs = append(refs, appclient.Ref{Root: fmt.Sprintf("%04d%s%s", i, strings.Repeat("'", 100), strings.Repeat("r", 300)), Path: strings.Repeat("p", 400)})
	}
	value := bytes.Repeat([]byte("0123456789"), 60_000)
	if _, err := root.Put(ctx, "x", value, appclient.WithRefs(refs...)); err != nil {
		t.Fatal(err)
	}
	whole := func(o *appclient.Object, err error) {
		t.Helper()
		if err != nil || !bytes.Equal(o.Value, value) || !slices.Equal(o.Refs, refs) {
			t.Fatalf("read: %v", err)
		}
	}
	whole(root.Get(ctx, "x"))
	whole(client.Resolve(ctx, appclient.Ref{Root: "largest", Path: "x"}))
	for o, err := range root.Objects(ctx, appclient.ListOptions{}) {
		whole(o, err)
	}
	err := root.Update(ctx, func(tx *appclient.Tx) error {
		o, err := tx.Get("x")
		whole(o, err)
		tx.Put("y", nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range refs {
		refs[i].Root = fmt.Sprintf("%04d%s", i, strings.Repeat("'", 400))
	}
	if _, err := root.Put(ctx, "z", nil, appclient.WithRefs(refs...)); !errors.Is(err, appclient.ErrTooLarge) {
		t.Errorf("more XML than a request can have: %v", err)
	}
	c.tooLarge()
}

// tooLarge sends what the Go client does not.
func (c *cluster) tooLarge() {
	c.t.Helper()
	raw := c.rawClient("app2")
	w := put(1, 1, "largest", "z", nil)
	for range op.MaxRefs {
		w.Mutations[0].Refs = append(w.Mutations[0].Refs, op.Ref{Root: strings.Repeat("'", 400)})
	}
	_, failed := raw.send(nodeJID(0), &wire.Request{Writes: []wire.Write{{Tag: raw.nextTag(), Partition: c.doc.Partition("largest"), Write: w}}})
	select {
	case e := <-failed:
		if e.Condition != "policy-violation" || !strings.Contains(e.Text, "send less") {
			c.t.Errorf("the request is refused with %v", e)
		}
	case <-time.After(patience):
		c.t.Error("no answer")
	}
}

// TestChangesByIQ: a batch whose events do not fit an IQ comes in pages.
func TestChangesByIQ(t *testing.T) {
	c := newCluster(t, 1)
	c.bootstrap()
	app := c.rawClient("app")
	root := "batches"
	s := c.session(app, root)
	for seq := range uint64(2) {
		w := op.Write{Root: root, Session: s, Seq: seq + 1, Floor: seq + 1}
		for i := range op.MaxMutations {
			w.Mutations = append(w.Mutations, op.Mutation{Kind: op.Put, Path: fmt.Sprintf("%d/%04d%s", seq, i, strings.Repeat("&", 100))})
		}
		if res := c.write(app, w); res.Code != op.OK {
			t.Fatalf("write: %+v", res)
		}
	}
	var got []op.Event
	rd := op.Read{Kind: op.Changes, Root: root, ByRevision: true, Values: true}
	for more := true; more; {
		res := c.read(app, rd)
		if res.Code != op.OK || len(res.Events) == 0 {
			t.Fatalf("after %d events: %+v", len(got), res)
		}
		more = res.More
		if !rd.ByRevision && rd.Since != res.Position {
			rd.Skip = 0
		}
		rd.ByRevision, rd.Since = false, res.Position
		for _, e := range res.Events {
			if e.Position == res.Position+1 {
				rd.Skip++
			}
		}
		got = append(got, res.Events...)
	}
	if len(got) != 2*op.MaxMutations {
		t.Fatalf("%d events, want %d", len(got), 2*op.MaxMutations)
	}
	for i, e := range got {
		if want := fmt.Sprintf("%d/%04d", i/op.MaxMutations, i%op.MaxMutations); !strings.HasPrefix(e.Path, want) {
			t.Fatalf("event %d is of %.10q, want %q", i, e.Path, want)
		}
	}
}
