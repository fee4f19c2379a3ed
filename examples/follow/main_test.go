package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
)

// TestFollow stops after each event and goes on: it must end, so none was lost.
func TestFollow(t *testing.T) {
	cluster, err := appclienttest.Start(appclienttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	c, err := appclient.Dial(t.Context(), cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file := filepath.Join(t.TempDir(), "token")
	w := c.Watch(appclient.WatchOptions{Prefix: "f/"})
	if err := w.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := save(w, file); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := c.Root("f/1").Put(t.Context(), fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
		if err := follow(t.Context(), cluster.Config(), "f/", file, 1); err != nil {
			t.Error(err)
		}
	}
}
