package appclient_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/appclient/appclienttest"
	"github.com/rosterdb/rosterdb/internal/op"
)

// plan is what goes wrong in a run of exactlyOnce.
type plan struct {
	faults []appclienttest.Fault
	drops  int // cuts of the stream
}

// TestExactlyOnce writes through random faults from several goroutines and
// compares what was told with what was applied.
func TestExactlyOnce(t *testing.T) {
	type F = appclienttest.Fault
	kinds := []F{
		{},
		{},
		{},
		{DropRequest: true},
		{DropAnswer: true},
		{DupAnswer: true},
		{Delay: 15 * time.Millisecond},
		{LateReceipt: true},
		{Refuse: op.Redirect},
		{Refuse: op.Unavailable},
		{Refuse: op.SessionExpired},
		{ApplyAndSay: op.Retry},
		{Bounce: "service-unavailable"},
		{ForeignFirst: true},
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := plan{
			faults: rapid.SliceOfN(rapid.SampledFrom(kinds), 0, 30).Draw(rt, "faults"),
			drops:  rapid.IntRange(0, 2).Draw(rt, "stream drops"),
		}
		for _, lie := range exactlyOnce(t, p, appclient.Faults{}) {
			rt.Error(lie)
		}
	})
}

func TestExactlyOnceCanFail(t *testing.T) {
	p := plan{faults: make([]appclienttest.Fault, 8)}
	for i := range p.faults {
		p.faults[i].DropAnswer = i > 3
	}
	for range 20 { // a machine that is slow enough has no time to try again
		if len(exactlyOnce(t, p, appclient.Faults{NewSeqOnRetry: true})) > 0 {
			return
		}
	}
	t.Error("a new sequence on each retry, and nothing was seen")
}

// exactlyOnce returns what was told wrongly.
func exactlyOnce(t *testing.T, p plan, f appclient.Faults) (lies []string) {
	s := &script{faults: p.faults}
	cl, err := appclienttest.Start(appclienttest.Options{Partitions: 4, Fault: s.next})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	cfg := cl.Config()
	cfg.TryTimeout = 10 * time.Millisecond
	c, err := appclient.DialWith(deadline(t), cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	told := writeAll(c, cl, p.drops)
	c.Close() //nolint:errcheck // never fails
	cl.Close()
	times := make(map[string]int)
	for _, a := range cl.Applied() {
		times[a.Mutations[0].Path]++
	}
	for path, what := range told {
		n := times[path]
		right := what == "applied" && n == 1 || what == "not applied" && n == 0 || what == "unknown" && n <= 1
		if !right {
			lies = append(lies, fmt.Sprintf("%s: told %q, applied %d times", path, what, n))
		}
	}
	return lies
}

// writeAll writes each path once from several goroutines and returns what the
// client told of each.
func writeAll(c *appclient.Client, cl *appclienttest.Cluster, drops int) map[string]string {
	const callers, each = 4, 6
	told := make(map[string]string)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := range each {
				path := fmt.Sprint("p", i, "-", n)
				ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
				_, err := c.Root(fmt.Sprint("root", i)).Put(ctx, path, []byte("v"))
				cancel()
				mu.Lock()
				told[path] = claims(err)
				mu.Unlock()
				if n == each/2 && i < drops {
					cl.DropStreams()
				}
			}
		})
	}
	wg.Wait()
	return told
}
