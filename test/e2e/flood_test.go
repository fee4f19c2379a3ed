package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

var floodFor = flag.Duration("flood", time.Second, "how long each flood of TestFloods lasts at least")

const (
	floodPartitions = 16
	floodRoot       = "f/x"
	floodPaths      = 1000            // that the flood of writes writes to
	floodPatience   = 2 * time.Minute // for what takes a moment on an idle machine
	politeClients   = 5
)

// TestFloods: one connection sends far more than a data node can do, of one kind after the other, while clients of
// another account work with the same node. No data node loses its session, the others go on, the flood is refused with
// a hint when to come again, and what was acknowledged to it is there. How long the others waited, and how many leads
// were lost, is only told.
func TestFloods(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Partitions: floodPartitions, InsecurePlaintext: true})
	for account, prefix := range map[string]string{"shop@localhost": "p/", "app@localhost": "f/"} {
		cmd := exec.CommandContext(t.Context(), binary, "access", "grant", "--dev", c.File(), "--yes", "--write", account, prefix)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	shop := c.Info().Accounts["shop"]
	own := harness.Dial(t, c, nil)
	var polite []appclient.Root
	place := own.Where(floodRoot)
	for i := 0; len(polite) < politeClients; i++ {
		root := fmt.Sprint("p/", i)
		// The same data node where it leads others too, and never the same partition: nothing happens there then.
		if at := own.Where(root); at.Partition != place.Partition && (at.Leader == place.Leader || i > 1000) {
			client := harness.Dial(t, c, func(cfg *appclient.Config) { cfg.JID, cfg.Password = shop.JID, shop.Password })
			polite = append(polite, client.Root(root))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), floodPatience)
	defer cancel()
	for path, value := range map[string][]byte{"small": []byte("small"), "large": bytes.Repeat([]byte("large"), 20<<10)} {
		if _, err := own.Root(floodRoot).Put(ctx, path, value); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, floodPatience, "each data node has streams to two servers", func() bool { return nodeLogins(t, c) >= 2*len(c.Info().Nodes) })
	calm, logins := newFlooder(t, c, "shop", place), nodeLogins(t, c)
	// The opens are last: an account's sessions are used up then for a minute.
	for _, kind := range []string{"changes that wait", "gets", "large reads", "changes", "writes", "opens"} {
		t.Run(kind, func(t *testing.T) {
			f, terms := newFlooder(t, c, "app", own.Where(floodRoot)), calm.terms()
			stop := work(t, polite)
			f.flood(kind)
			longest, done := stop()
			f.close()
			t.Logf("sent %d stanzas of %d MiB, told %v, logged in %d times; polite: %d operations, longest %v; leads lost: %s",
				f.stanzas, f.bytes>>20, f.told, f.ups, done, longest, lost(terms, calm.terms()))
			f.acknowledged(own)
			if now := nodeLogins(t, c); now != logins {
				t.Errorf("%d logins of data nodes before the flood, %d after it", logins, now)
			}
		})
	}
}

// nodeLogins counts those of all data nodes.
func nodeLogins(t *testing.T, c *devcluster.Cluster) (n int) {
	t.Helper()
	for _, node := range c.Info().Nodes {
		b, err := os.ReadFile(c.Log(node.ID))
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(b), "logged in")
	}
	return n
}

// work has each client write and read one after the other, until stop is called, and ten times at least. None of its
// operations may fail, and each read has what was written before.
func work(t *testing.T, roots []appclient.Root) (stop func() (longest time.Duration, done int64)) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var most, count atomic.Int64
	timed := func(do func(context.Context) error) bool {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), floodPatience)
		defer cancel()
		if err := do(ctx); err != nil {
			t.Errorf("a polite client: %v", err)
			return false
		}
		took := int64(time.Since(began))
		for old := most.Load(); took > old && !most.CompareAndSwap(old, took); old = most.Load() {
		}
		count.Add(1)
		return true
	}
	for _, root := range roots {
		wg.Go(func() {
			for n := 0; n < 10 || ctx.Err() == nil; n++ {
				value := []byte(fmt.Sprint(n))
				if !timed(func(ctx context.Context) error {
					_, err := root.Put(ctx, "x", value)
					return err
				}) || !timed(func(ctx context.Context) error {
					o, err := root.Get(ctx, "x")
					if err == nil && !bytes.Equal(o.Value, value) {
						err = fmt.Errorf("it wrote %s and reads %s", value, o.Value)
					}
					return err
				}) {
					return
				}
				time.Sleep(2 * time.Millisecond) // the pace of the polite
			}
		})
	}
	return func() (time.Duration, int64) {
		cancel()
		wg.Wait()
		return time.Duration(most.Load()).Round(time.Millisecond), count.Load()
	}
}

// flood sends for as long as the flag says, and until what has to be seen is seen: of changes that wait so many can wait
// and no more, so that some are refused on every machine; and some write is acknowledged.
func (f *flooder) flood(kind string) {
	f.t.Helper()
	enough := func() bool { return true }
	var position uint64
	session := op.Session(0)
	switch kind {
	case "changes that wait":
		enough, position = func() bool { return f.refused > 0 }, f.position()
	case "writes":
		enough, session = func() bool { return len(f.revisions) > 0 }, f.open()
	}
	end, give := time.Now().Add(*floodFor), time.Now().Add(*floodFor+floodPatience)
	for {
		f.mu.Lock()
		seen := enough()
		f.mu.Unlock()
		switch late := time.Now().After(end); {
		case late && seen:
			return
		case time.Now().After(give):
			f.close()
			f.t.Fatalf("not seen in time; told %v", f.told)
		case late:
			time.Sleep(20 * time.Millisecond) // the pause of a poll
		}
		switch kind {
		case "gets":
			f.reads(500, true, op.Read{Kind: op.Get, Root: floodRoot, Path: "small"})
		case "large reads":
			f.reads(30, false, op.Read{Kind: op.Get, Root: floodRoot, Path: "large"})
		case "changes":
			f.reads(500, true, op.Read{Kind: op.Changes, Root: floodRoot, Wait: op.MaxWait})
		case "changes that wait":
			f.reads(500, true, op.Read{Kind: op.Changes, Root: floodRoot, Since: position, Wait: op.MaxWait})
		case "opens":
			req := &wire.Request{}
			for i := range 1000 {
				req.Opens = append(req.Opens, wire.Open{Tag: f.nextTag(), Partition: uint32(i % floodPartitions)})
			}
			f.message(req)
		case "writes":
			f.writes(session)
		}
	}
}

// reads sends n equal ones, by IQ or by message.
func (f *flooder) reads(n int, iq bool, read op.Read) {
	req := &wire.Request{Epoch: 1}
	for range n {
		req.Reads = append(req.Reads, wire.Read{Tag: f.nextTag(), Partition: f.place.Partition, Read: read})
	}
	if !iq {
		f.message(req)
		return
	}
	f.send(wire.AppendIQ(nil, f.leader(), fmt.Sprint("q", f.tag), "get", wire.AppendRequest(nil, req)))
}

// writes sends some of 9 KiB each. It does not ask what has become of those before: that is forgotten.
func (f *flooder) writes(session op.Session) {
	req := &wire.Request{}
	floor := f.seq + 1
	for range 20 {
		f.seq++
		path := fmt.Sprint("w", f.seq%floodPaths)
		tag := f.nextTag()
		f.mu.Lock()
		f.paths[tag] = path
		f.mu.Unlock()
		req.Writes = append(req.Writes, wire.Write{Tag: tag, Partition: f.place.Partition, Write: op.Write{
			Root: floodRoot, Session: session, Seq: f.seq, Floor: floor,
			Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: bytes.Repeat([]byte("w"), 9<<10)}},
		}})
	}
	f.message(req)
}

// message sends a request in parts, as large as xmppd takes them.
func (f *flooder) message(req *wire.Request) {
	req.Epoch = 1
	for _, p := range wire.Split(wire.AppendRequest(nil, req), 190<<10, fmt.Sprint("p", f.tag)) {
		f.send(wire.AppendMessage(nil, f.leader(), fmt.Sprint("m", f.tag), true, p))
	}
}

// send sends a stanza, and loses it with the stream.
func (f *flooder) send(b []byte) {
	for {
		err := f.connected().Send(b)
		if errors.Is(err, xmppconn.ErrOverflow) {
			time.Sleep(time.Millisecond) // the pause of a poll
			continue
		}
		if err != nil {
			return // the stream ends; the next one is up soon
		}
		f.stanzas++
		f.bytes += len(b)
		return
	}
}

// acknowledged: what was acknowledged is there, or what was written over it.
func (f *flooder) acknowledged(own *appclient.Client) {
	f.t.Helper()
	if len(f.revisions) == 0 {
		return // only writes are
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), floodPatience)
	defer cancel()
	there := make(map[string]uint64)
	for e, err := range own.Root(floodRoot).List(ctx, appclient.ListOptions{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		there[e.Path] = e.Version
	}
	for path, revision := range f.revisions {
		if version := there[path]; version == 0 || version < revision {
			f.t.Errorf("%s was acknowledged as revision %d; there is %d", path, revision, version)
		}
	}
	f.t.Logf("%d objects whose writes were acknowledged are there", len(f.revisions))
}
