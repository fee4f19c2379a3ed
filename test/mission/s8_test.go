package mission

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/linearizability"
)

// checkConsistency records what clients see while a data node is killed and comes
// back, and judges it with porcupine; meanwhile others read with a bound on
// staleness, and never see anything older. Every replica answers such a read.
func checkConsistency(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary})
	staleEverywhere(t, c)

	const clients, perPhase = 4, 400
	h := linearizability.NewRecorder(6)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for id := range clients {
		client := harness.Dial(t, c, nil)
		wg.Go(func() { h.Run(ctx, id, client) })
	}
	f := &freshness{began: time.Now()}
	writer, reader := harness.Dial(t, c, nil), harness.Dial(t, c, nil)
	wg.Go(func() { f.write(ctx, t, writer) })
	for _, maxAge := range []time.Duration{0, 300 * time.Millisecond} {
		wg.Go(func() { f.read(ctx, t, reader, maxAge) })
	}
	h.Await(t, perPhase)
	victim := nodeID(writer.Where("fresh").Leader)
	if err := c.Kill(victim); err != nil {
		t.Fatal(err)
	}
	h.Await(t, 2*perPhase)
	if err := c.Restart(t.Context(), victim); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Await(t, 3*perPhase)
	harness.Eventually(t, time.Minute, "stale reads", func() bool { return f.enough(50) })
	stop()
	wg.Wait()
	h.Check(t)
}

// freshness holds when each number was acknowledged.
type freshness struct {
	began time.Time

	mu    sync.Mutex
	acked []time.Duration // by number
	reads int
}

// floor is the highest number that was acknowledged before a moment.
func (f *freshness) floor(before time.Duration) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.acked)
	for n > 0 && f.acked[n-1] >= before {
		n--
	}
	return n
}

func (f *freshness) enough(reads int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads >= reads
}

// write counts up.
func (f *freshness) write(ctx context.Context, t *testing.T, c *appclient.Client) {
	for n := 1; ctx.Err() == nil; n++ {
		try, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := c.Root("fresh").Put(try, "", strconv.AppendInt(nil, int64(n), 10))
		cancel()
		if err != nil {
			t.Errorf("write %d: %v", n, err)
			return
		}
		f.mu.Lock()
		f.acked = append(f.acked, time.Since(f.began))
		f.mu.Unlock()
	}
}

// read looks at the number: it may be as old as it was maxAge before the question.
func (f *freshness) read(ctx context.Context, t *testing.T, c *appclient.Client, maxAge time.Duration) {
	for ctx.Err() == nil {
		want := f.floor(time.Since(f.began) - maxAge)
		try, cancel := context.WithTimeout(t.Context(), time.Minute)
		o, err := c.Root("fresh").Get(try, "", appclient.Stale(maxAge))
		cancel()
		n := 0
		switch {
		case err == nil:
			if n, err = strconv.Atoi(string(o.Value)); err != nil {
				t.Error(err)
				return
			}
		case !errors.Is(err, appclient.ErrNotFound):
			t.Errorf("a stale read: %v", err)
			return
		}
		if n < want {
			t.Errorf("a read not older than %v showed %d, and %d was acknowledged before", maxAge, n, want)
			return
		}
		f.mu.Lock()
		f.reads++
		f.mu.Unlock()
	}
}

// staleEverywhere asks each replica of a root: with a bound on staleness every one
// answers, without it only the leader does.
func staleEverywhere(t *testing.T, c *devcluster.Cluster) {
	client := harness.Dial(t, c, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	version, err := client.Root("everywhere").Put(ctx, "", []byte("v"))
	if err != nil {
		t.Fatal(err)
	}
	info := c.Info()
	cfg, err := info.Config("app")
	if err != nil {
		t.Fatal(err)
	}
	app := harness.Login(t, cfg)
	where := client.Where("everywhere")
	answers := func(replica string, stale bool) bool {
		q := wire.Request{Epoch: where.Epoch, Reads: []wire.Read{{Tag: 1, Partition: where.Partition, Read: op.Read{Kind: op.Get, Root: "everywhere", Stale: stale}}}}
		res := readResult(t, app.IQ(replica, "get", string(wire.AppendRequest(nil, &q))))
		if res.Code == op.OK && res.Objects[0].Version != version {
			t.Errorf("%s shows version %d, not %d", replica, res.Objects[0].Version, version)
		}
		return res.Code == op.OK
	}
	// Leadership may still be on its way to where it belongs.
	harness.Eventually(t, time.Minute, "an answer of each replica, without staleness of one only", func() bool {
		strict, all := 0, len(where.Replicas) == 3
		for _, replica := range where.Replicas {
			all = answers(replica, true) && all
			if answers(replica, false) {
				strict++
			}
		}
		return all && strict == 1
	})
}

func readResult(t *testing.T, xml []byte) op.ReadResult {
	t.Helper()
	for p := stanza.Parse(xml); ; {
		switch p.Next() {
		case stanza.EOF:
			t.Fatalf("no results in %s", xml)
		case stanza.Start:
			if string(p.Name()) != "results" {
				continue
			}
			r, err := wire.ParseResponse(p.Element())
			if err != nil || len(r.Reads) != 1 {
				t.Fatalf("results %s: %v", xml, err)
			}
			return r.Reads[0].ReadResult
		}
	}
}
