package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
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
	var told bytes.Buffer
	log.SetOutput(&told)
	defer log.SetOutput(os.Stderr)
	for i := range 5 {
		if _, err := c.Root("f/1").Put(t.Context(), fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
		if err := follow(t.Context(), cluster.Config(), "f/", file, 1); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(told.String(), "since "+file+" was written") {
		t.Errorf("a start that goes on says %q", told.String())
	}
	told.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	log.SetOutput(writerFunc(func(p []byte) (int, error) { cancel(); return told.Write(p) })) // it follows now: enough
	if err := follow(ctx, cluster.Config(), "f/", "", 0); !errors.Is(err, context.Canceled) || !strings.Contains(told.String(), "from now on") {
		t.Errorf("a start without a token says %q: %v", told.String(), err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
