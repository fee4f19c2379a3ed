package appclient_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// TestDialWithoutRights: that an account has no right ends Dial, not the deadline.
func TestDialWithoutRights(t *testing.T) {
	cl := cluster(t, appclienttest.Options{RingFault: func(node string) string {
		if strings.HasPrefix(node, "dn1@") {
			return "item-not-found" // it has no ring, and knows nobody's rights
		}
		return "forbidden"
	}})
	ctx := deadline(t)
	if _, err := appclient.Dial(ctx, cl.Config()); !errors.Is(err, appclient.ErrDenied) || errors.Is(err, appclient.ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("Dial: %v, want ErrDenied", err)
	}
}

// TestRefusalThatPasses: a node that has not heard of a grant refuses once, and Dial
// goes on; a client that has a ring stays, whoever refuses it another.
func TestRefusalThatPasses(t *testing.T) {
	var asked atomic.Int64
	var denied atomic.Bool
	cl := cluster(t, appclienttest.Options{RingFault: func(string) string {
		if asked.Add(1) == 1 || denied.Load() {
			return "forbidden"
		}
		return ""
	}})
	cl.SetOnline(1, false)
	cl.SetOnline(2, false)
	c := dial(t, cl, nil)
	denied.Store(true)
	have := asked.Load()
	cl.SetOnline(1, true)
	cl.SetOnline(2, true)
	cl.Move()
	until(t, "three rounds of refusals", func() bool { return asked.Load() >= have+9 })
	if _, err := c.Root("r").Put(deadline(t), "p", nil); err != nil {
		t.Errorf("Put of a client that is refused the ring now: %v", err)
	}
}

// TestReplaced: another login under the same full JID is the end of a client, which
// says so to all who wait and to all who come, and can still be closed.
func TestReplaced(t *testing.T) {
	cl := cluster(t, appclienttest.Options{Fault: func(st appclienttest.Stanza) appclienttest.Fault {
		return appclienttest.Fault{DropAnswer: st.Reads > 0}
	}})
	c := dial(t, cl, func(cfg *appclient.Config) { cfg.Resource = "same" })
	ctx := deadline(t)
	w := c.Watch(appclient.WatchOptions{Prefix: "w/"})
	told := make(chan error, 2)
	go func() {
		for _, err := range w.Events(ctx) {
			told <- err
		}
	}()
	go func() {
		_, err := c.Root("r").Get(ctx, "p")
		told <- err
	}()
	until(t, "a read on its way", func() bool { return c.Stats().Stanzas > 0 })
	cl.Replace()
	is := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, appclient.ErrReplaced) || errors.Is(err, appclient.ErrUnavailable) || !strings.Contains(err.Error(), "leave Config.Resource empty") {
			t.Errorf("%s: %v, want ErrReplaced", what, err)
		}
	}
	is("the first that waited", <-told)
	is("the second that waited", <-told)
	_, err := c.Root("r").Put(ctx, "p", nil)
	is("Put", err)
	is("Watch", c.Watch(appclient.WatchOptions{Prefix: "w/"}).Begin(ctx))
	c.Close() //nolint:errcheck // never fails
	if _, err := c.Root("r").Get(context.Background(), "p"); !errors.Is(err, appclient.ErrClosed) || errors.Is(err, appclient.ErrReplaced) {
		t.Errorf("Get after Close: %v, want ErrClosed", err)
	}
}
