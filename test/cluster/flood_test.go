package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

const (
	floodRoots  = 48
	floodWrites = 500 // a stanza; two to a root are sent at once, as many as a session may have under way
	floodRounds = 100 // at most
	// What both have to see before the test ends.
	floodRefusals    = 100
	politeOperations = 10
)

// TestFlood: an account sends far more at once than a data node takes, over and
// over, and another one works with the same data node. All that the polite one
// asks succeeds. The flood is told what was refused, and when to come again: of
// that nothing is there afterwards, and of what was acknowledged everything.
func TestFlood(t *testing.T) {
	c := newCluster(t, 3)
	c.bootstrap()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	login := c.srv.login("app")
	client, err := appclient.Dial(ctx, appclient.Config{JID: login.JID, Password: login.Password, Addrs: login.Addrs, InsecurePlaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // never fails
	leader := client.Where("flood/0").Leader
	led := func(prefix string) func() string {
		i := -1
		return func() string {
			for {
				if i++; client.Where(fmt.Sprint(prefix, i)).Leader == leader {
					return fmt.Sprint(prefix, i)
				}
			}
		}
	}
	f := &flood{c: c, raw: c.rawClient("app2"), to: leader, paths: make(map[string]map[string]op.Code)}
	for next := led("flood/"); len(f.roots) < floodRoots; {
		f.roots = append(f.roots, next())
	}
	for _, root := range f.roots {
		f.sessions = append(f.sessions, c.session(f.raw, root))
		f.paths[root] = make(map[string]op.Code)
	}

	terms := c.terms(f.raw)
	var done atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	app, root := c.rawClient("app"), led("polite/")()
	session := c.session(app, root)
	wg.Go(func() { c.polite(app, session, root, &done, stop) })
	for round := 0; f.refused < floodRefusals || done.Load() < politeOperations; round++ {
		if t.Failed() || round == floodRounds {
			t.Errorf("after %d rounds %d writes of the flood are refused, and %d operations of the other are done", round, f.refused, done.Load())
			break
		}
		f.round(ctx, round)
	}
	close(stop)
	wg.Wait()
	lost := uint64(0) // leads: each begins a term
	for group, term := range c.terms(f.raw) {
		lost += term - min(term, terms[group])
	}
	t.Logf("flood: %d acknowledged, %d refused, %d other; the other account: %d operations; leads lost: %d", f.acknowledged, f.refused, f.others, done.Load(), lost)
	for root, paths := range f.paths {
		there := make(map[string]bool)
		for e, err := range client.Root(root).List(ctx, appclient.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			there[e.Path] = true
		}
		for path, code := range paths {
			if code == op.OK && !there[path] || code == op.Overloaded && there[path] {
				t.Fatalf("%s %s was answered with code %d; there: %v", root, path, code, there[path])
			}
		}
	}
}

// polite writes and reads one after the other. It asks again where leadership is
// lost, but none of its operations may be refused for the flood.
func (c *cluster) polite(raw *rawClient, session op.Session, root string, done *atomic.Int64, stop <-chan struct{}) {
	for n := uint64(1); ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		value := fmt.Sprint(n)
		if res := c.write(raw, put(session, n, root, "p", []byte(value))); res.Code != op.OK || res.Revision != n {
			c.t.Errorf("write %d of the polite account: %+v", n, res)
			return
		}
		done.Add(1)
		if res := c.read(raw, get(root, "p")); res.Code != op.OK || string(res.Objects[0].Value) != value {
			c.t.Errorf("read %d of the polite account: %+v", n, res)
			return
		}
		done.Add(1)
	}
}

// terms are those of the partitions, the highest that a data node tells.
func (c *cluster) terms(raw *rawClient) []uint64 {
	highest, groups := make([]uint64, testPartitions), make([]uint64, testPartitions)
	for group := range groups {
		groups[group] = uint64(group)
	}
	for _, m := range c.doc.Members {
		c.eventually(m.JID+" tells its terms", func() bool {
			ctx, cancel := context.WithTimeout(c.t.Context(), patience/8)
			defer cancel()
			raw.mu.Lock()
			conn := raw.conn
			raw.mu.Unlock()
			el, err := raw.iqs.Do(ctx, conn, m.JID, "get", wire.AppendTerms(nil, m.ID, groups))
			if err != nil {
				return false
			}
			_, terms, err := wire.ParseTerms(el, nil)
			for group, term := range terms {
				highest[group] = max(highest[group], term)
			}
			return err == nil
		})
	}
	return highest
}

// flood is an account that doesn't wait.
type flood struct {
	c        *cluster
	raw      *rawClient
	to       string
	roots    []string
	sessions []op.Session
	paths    map[string]map[string]op.Code // the answer, of each root and path

	acknowledged, refused, others int
}

// round sends all at once, each write to a path of its own, and waits for the
// answers.
func (f *flood) round(ctx context.Context, round int) {
	type sent struct {
		root, path string
		answer     chan op.WriteResult
	}
	var all []sent
	for half := range 2 {
		for i, root := range f.roots {
			req := &wire.Request{Epoch: 1}
			floor := uint64(round*2*floodWrites + 1)
			for k := range floodWrites {
				s := sent{root, fmt.Sprintf("%d/%d/%d", round, half, k), make(chan op.WriteResult, 1)}
				w := put(f.sessions[i], floor+uint64(half*floodWrites+k), root, s.path, []byte("flood"))
				w.Floor = floor
				tag := f.raw.nextTag()
				req.Writes = append(req.Writes, wire.Write{Tag: tag, Partition: f.c.doc.Partition(root), Write: w})
				f.raw.mu.Lock()
				f.raw.writes[tag] = s.answer
				f.raw.mu.Unlock()
				all = append(all, s)
			}
			f.send(req)
		}
	}
	for _, s := range all {
		select {
		case res := <-s.answer:
			f.paths[s.root][s.path] = res.Code
			switch res.Code {
			case op.OK:
				f.acknowledged++
			case op.Overloaded:
				if f.refused++; res.RetryAfter == 0 {
					f.c.t.Fatal("refused without a hint when to come again")
				}
			default:
				f.others++ // its partition has lost its leader: also a flood may do that
			}
		case <-ctx.Done():
			f.c.t.Fatalf("round %d: no answer to a write", round)
		}
	}
}

func (f *flood) send(req *wire.Request) {
	f.raw.mu.Lock()
	conn := f.raw.conn
	f.raw.mu.Unlock()
	msg := wire.AppendMessage(nil, f.to, "", false, wire.AppendRequest(nil, req))
	for {
		err := conn.Send(msg)
		if err == nil {
			return
		}
		if !errors.Is(err, xmppconn.ErrOverflow) {
			f.c.t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // the pause of a poll
	}
}
