package mission

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkExactlyOnce sends the same operation five times, by both streams of a client, which are at two servers, to both of
// the leader's; kills the leader, sends it once more to the next one: it has happened once, and every copy was told
// the same; so it is with copies that are under way at the same time. Then counts with many clients while receipts are lost and a leader
// is killed: the counter is exact.
func checkExactlyOnce(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, InsecurePlaintext: true})
	t.Run("SixCopies", func(t *testing.T) { sixCopies(t, c) })
	if err := c.WaitHealthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("Counter", func(t *testing.T) { exactCounter(t, c) })
}

const copiedRoot = "copied"

func sixCopies(t *testing.T, c *devcluster.Cluster) {
	info := c.Info()
	opCfg, err := info.Config("operator")
	if err != nil {
		t.Fatal(err)
	}
	operator, err := admin.Connect(t.Context(), opCfg)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	app := twoStreams(t, &info)
	where, err := operator.Where(t.Context(), copiedRoot)
	if err != nil {
		t.Fatal(err)
	}

	opened := ask(t, app[0], where.Leader, "open", &wire.Request{Epoch: where.Epoch, Opens: []wire.Open{{Tag: 1, Partition: where.Partition}}})
	if opened.Code != op.OK || opened.Session == 0 {
		t.Fatalf("open a session: %+v", opened)
	}
	// Absent: a second execution would be told of a conflict.
	create := func(seq uint64, path string) *wire.Request {
		return &wire.Request{Epoch: where.Epoch, Writes: []wire.Write{{Tag: 2, Partition: where.Partition, Write: op.Write{
			Root: copiedRoot, Session: opened.Session, Seq: seq, Floor: 1,
			Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: []byte("once"), Cond: op.Condition{Kind: op.Absent}}},
		}}}}
	}
	write := create(1, "x")
	ways := waysTo(app, where.Leader)
	var answers []op.WriteResult
	for i := range 5 {
		w := ways[i%len(ways)]
		answers = append(answers, ask(t, w.from, w.to, fmt.Sprint("copy", i), write))
	}
	toldTheSame(t, "under way together", atOnce(t, ways, create(2, "y")))
	victim := nodeID(where.Leader)
	if err := c.Kill(victim); err != nil {
		t.Fatal(err)
	}
	dead := where.Leader
	harness.Eventually(t, time.Minute, "a new leader", func() bool {
		w, err := operator.Where(t.Context(), copiedRoot)
		if err == nil && w.Leader != "" && w.Leader != dead {
			where = w
			return true
		}
		return false
	})
	answers = append(answers, ask(t, app[0], where.Leader, "after the kill", write))
	toldTheSame(t, "one after the other", answers)
	o, err := harness.Dial(t, c, nil).Root(copiedRoot).Get(t.Context(), "x")
	if err != nil || string(o.Value) != "once" || o.Version != answers[0].Revision {
		t.Errorf("afterwards: %v, %v", o, err)
	}
	if err := c.Restart(t.Context(), victim); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request with one operation until it is answered with something
// that is not "try elsewhere" or "try again".
func ask(t *testing.T, app *harness.Raw, to, id string, q *wire.Request) op.WriteResult {
	t.Helper()
	for attempt := 0; ; attempt++ {
		id := fmt.Sprintf("%s.%d", id, attempt)
		app.Send(wire.AppendMessage(nil, to, id, true, wire.AppendRequest(nil, q)))
		r := answerTo(t, app, to, id)
		if !undecided(r) || attempt == 20 {
			return r
		}
	}
}

func undecided(r op.WriteResult) bool { return r.Code == op.Retry || r.Code == op.Unavailable }

// answerTo waits for the receipt of a request.
func answerTo(t *testing.T, app *harness.Raw, to, id string) op.WriteResult {
	t.Helper()
	return resultsOf(t, app.Await("the answer to "+id, func(m harness.Message) bool {
		return m.From == to && strings.Contains(string(m.XML), "<received") && strings.Contains(string(m.XML), "'"+stanzaText(id)+"'")
	}))
}

func stanzaText(s string) string { return string(stanza.AppendEscaped(nil, s)) }

func resultsOf(t *testing.T, m harness.Message) op.WriteResult {
	t.Helper()
	for p := stanza.Parse(m.XML); ; {
		switch p.Next() {
		case stanza.EOF:
			t.Fatalf("no results in %s", m.XML)
		case stanza.Start:
			if string(p.Name()) != "results" {
				continue
			}
			r, err := wire.ParseResponse(p.Element())
			if err != nil || len(r.Writes) != 1 {
				t.Fatalf("results %s: %v", m.XML, err)
			}
			return r.Writes[0].WriteResult
		}
	}
}

// exactCounter adds one by compare-and-swap from many goroutines of two
// clients, of which one loses every seventh receipt.
func exactCounter(t *testing.T, c *devcluster.Cluster) {
	const counters, adders, wanted = 4, 4, 600
	w := tap(t, c.Info().Servers[0].C2S)
	defer w.close()
	w.dropReceipts(func(n int) bool { return n%7 == 0 })
	clients := []*appclient.Client{
		harness.Dial(t, c, nil),
		harness.Dial(t, c, func(cfg *appclient.Config) {
			cfg.Addrs = []string{w.addr()}
			cfg.TryTimeout = 300 * time.Millisecond
		}),
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var told, unknown [counters]atomic.Int64
	var all atomic.Int64
	var wg sync.WaitGroup
	for i := range counters * adders {
		wg.Go(func() {
			root := clients[i/counters%2].Root(fmt.Sprint("counter/", i%counters))
			for ctx.Err() == nil {
				switch err := addOne(t.Context(), root); {
				case err == nil:
					told[i%counters].Add(1)
					all.Add(1)
				case errors.Is(err, appclient.ErrUnknownOutcome):
					unknown[i%counters].Add(1)
				case !errors.Is(err, appclient.ErrConflict):
					t.Errorf("add one: %v", err)
					return
				}
			}
		})
	}
	harness.Eventually(t, harness.Patience, "half of the count", func() bool { return all.Load() > wanted/2 })
	victim := nodeID(clients[0].Where("counter/0").Leader)
	if err := c.Kill(victim); err != nil {
		t.Error(err)
	}
	harness.Eventually(t, harness.Patience, "the whole count", func() bool { return all.Load() > wanted })
	stop()
	wg.Wait()
	if w.droppedReceipts() == 0 {
		t.Error("no receipt was dropped: nothing was retried")
	}
	for i := range counters {
		n := readCounter(t, clients[0].Root(fmt.Sprint("counter/", i)))
		if n < told[i].Load() || n > told[i].Load()+unknown[i].Load() {
			t.Errorf("counter %d stands at %d after %d acknowledged additions and %d of unknown outcome", i, n, told[i].Load(), unknown[i].Load())
		}
	}
	if err := c.Restart(t.Context(), victim); err != nil {
		t.Error(err)
	}
}

// addOne reads and swaps once; a conflict means that another one was faster.
func addOne(ctx context.Context, root appclient.Root) error {
	ctx, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	n, version := int64(0), uint64(0)
	o, err := root.Get(ctx, "n")
	switch {
	case err == nil:
		if n, err = strconv.ParseInt(string(o.Value), 10, 64); err != nil {
			return err
		}
		version = o.Version
	case !errors.Is(err, appclient.ErrNotFound):
		return err
	}
	_, err = root.CompareAndSwap(ctx, "n", version, strconv.AppendInt(nil, n+1, 10))
	return err
}

func readCounter(t *testing.T, root appclient.Root) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	o, err := root.Get(ctx, "n")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(string(o.Value), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
