package mission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/ring"
	"github.com/rosterdb/rosterdb/test/harness"
)

// endOfChange is the longest that a change of a small store may take: a bound for
// what hangs, not a claim of speed.
const endOfChange = 3 * time.Minute

// checkElasticity: three nodes become five, then four, while callers write, count
// and read. Plans say what moves, and are refused when the ring has changed since;
// the change is throttled, paused, watched and taken up again, survives its
// operator's death, and moves no more than a tenth above the least.
func checkElasticity(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Metrics: true})
	r := ringctl{t, c}
	load := startLoad(t, harness.Dial(t, c, nil), "grow")
	for _, id := range []string{"dn4", "dn5"} {
		if _, err := c.Add(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	before := r.ring()

	// A plan of a ring that has changed since is refused.
	old := r.plan("join", "dn4", "dn5")
	r.must("index", "create", "--field", "n", "by-n")
	if code, out := r.run("commit", old.file); code != 5 {
		t.Fatalf("a plan of an older ring: exit code %d, %s", code, out)
	}
	p := r.plan("join", "dn4", "dn5")
	if p.Moves == 0 || 10*p.Moves > 11*p.Least || p.Bytes <= 0 {
		t.Errorf("the plan moves %d replicas, %d bytes; %d are the least", p.Moves, p.Bytes, p.Least)
	}
	if r.ring().Change != nil {
		t.Error("a plan has changed the ring")
	}
	// A newcomer dies before the change begins, so that it cannot be over before
	// it was looked at.
	kill(t, c, "dn5")
	r.commitAndDie(p.file)
	r.control("dn5 is down")
	if err := c.Restart(t.Context(), "dn5"); err != nil {
		t.Fatal(err)
	}
	r.awaitEnd()
	after := r.ring()
	if n := copied(before, after); len(after.Members) != 5 || n < p.Least || 10*n > 11*p.Least {
		t.Errorf("%d members, %d replicas were made, %d are the least", len(after.Members), n, p.Least)
	}

	// 5 to 4: leaderships go before the replicas have.
	p = r.plan("leave", "dn2")
	sent := r.sent()
	r.leaderless("dn2", p.file)
	r.awaitEnd()
	r.movedAsPlanned(p, r.sent()-sent)
	shrunk := r.ring()
	if n := copied(after, shrunk); len(shrunk.Members) != 4 || n < p.Least || 10*n > 11*p.Least {
		t.Errorf("%d members, %d replicas were made, %d are the least", len(shrunk.Members), n, p.Least)
	}
	if err := c.Remove(t.Context(), "dn2"); err != nil {
		t.Fatal(err)
	}
	load.stop(t, harness.Dial(t, c, nil), 0)
	r.crashes()
	harness.Eventually(t, time.Minute, "the store is healthy", func() bool { code, _ := r.run("status"); return code == 0 })
}

// crashes lets a new node join under load, and kills the node that drives the
// change, and then the newcomer, in its middle.
func (r ringctl) crashes() {
	t := r.t
	t.Helper()
	if _, err := r.c.Add(t.Context(), "dn2"); err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, harness.Dial(t, r.c, nil), "crash")
	r.must("join", "--yes", "dn2")
	for _, id := range []string{r.driver(), "dn2"} {
		kill(t, r.c, id)
		if err := r.c.Restart(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	r.awaitEnd()
	if doc := r.ring(); len(doc.Members) != 5 || doc.LastID != 6 {
		t.Errorf("after the crashes: %d members, last id %d", len(doc.Members), doc.LastID)
	}
	load.stop(t, harness.Dial(t, r.c, nil), 1)
}

// leaderless starts the change by which a node leaves, so slowly that it keeps its replicas,
// and waits until it leads nothing any more; then the change may go on.
func (r ringctl) leaderless(id, file string) {
	r.t.Helper()
	began := time.Now()
	r.must("commit", "--rate", "1KiB", file)
	r.must("pause")
	op := r.operator()
	defer op.Close()
	nodes := r.c.Info().Nodes
	jid := nodes[slices.IndexFunc(nodes, func(n devcluster.Node) bool { return n.ID == id })].JID
	var s *admin.NodeStatus
	harness.Eventually(r.t, harness.Patience, id+" leads nothing", func() bool {
		var err error
		s, err = op.Status(r.t.Context(), jid)
		return err == nil && s.Led == 0
	})
	if s.Held == 0 {
		r.t.Errorf("%s holds nothing any more: nothing is said of when its leaderships went", id)
	}
	r.t.Logf("%s holds %d replicas and leads none, %v after the commit", id, s.Held, time.Since(began).Round(10*time.Millisecond))
	r.must("throttle", "100MiB")
	r.must("resume")
}

// sent is what all nodes have sent of snapshots, in bytes.
func (r ringctl) sent() (sum float64) {
	r.t.Helper()
	for _, n := range r.c.Info().Nodes {
		sum += harness.Metrics(r.t.Context(), n.Metrics, "rosterdb_snapshots_sent_bytes_total")
	}
	return sum
}

// movedAsPlanned compares what a change has sent with the replicas that its plan moves. What
// one has now bounds what it had then: a twice as large sum has sent replicas twice.
func (r ringctl) movedAsPlanned(p planned, sent float64) {
	r.t.Helper()
	op := r.operator()
	defer op.Close()
	doc, err := op.Ring(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	most := 2 * float64(int64(p.Moves)*op.ReplicaBytes(r.t.Context(), doc))
	r.t.Logf("%.0f KiB sent for %d replicas; %d KiB planned", sent/1024, p.Moves, p.Bytes/1024)
	if sent <= 0 || sent > most {
		r.t.Errorf("%.0f bytes of snapshots were sent for %d replicas, %.0f at most are right", sent, p.Moves, most)
	}
}

// operator logs in as one.
func (r ringctl) operator() *admin.Client {
	r.t.Helper()
	cfg, err := ptr(r.c.Info()).Config("operator")
	if err != nil {
		r.t.Fatal(err)
	}
	op, err := admin.Connect(r.t.Context(), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return op
}

// driver is the node that leads the group which keeps the ring.
func (r ringctl) driver() (id string) {
	r.t.Helper()
	op := r.operator()
	defer op.Close()
	harness.Eventually(r.t, time.Minute, "the ring's group has a leader", func() bool {
		for _, n := range r.c.Info().Nodes {
			s, err := op.Groups(r.t.Context(), n.JID)
			if err != nil {
				continue
			}
			for _, g := range s.Groups {
				if g.Group == ring.MetaPartition && g.Leader == s.Member && g.Leader != 0 {
					id = n.ID
					return true
				}
			}
		}
		return false
	})
	return id
}

// ringctl runs the program against a cluster.
type ringctl struct {
	t *testing.T
	c *devcluster.Cluster
}

func (r ringctl) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "ROSTERDB_DEV="+r.c.File())
	cmd.Dir = r.t.TempDir()
	return cmd
}

func (r ringctl) run(args ...string) (code int, out string) {
	r.t.Helper()
	var b bytes.Buffer
	cmd := r.command(args...)
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("ringctl %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), b.String()
}

func (r ringctl) must(args ...string) string {
	r.t.Helper()
	code, out := r.run(args...)
	if code != 0 {
		r.t.Fatalf("ringctl %v: exit code %d: %s", args, code, out)
	}
	return out
}

type planned struct {
	ID           string
	Moves, Least int
	Bytes        int64
	Warnings     []string
	file         string
}

// plan makes a plan and reads its file.
func (r ringctl) plan(command string, args ...string) (p planned) {
	r.t.Helper()
	p.file = filepath.Join(r.t.TempDir(), command+".json")
	r.must(append([]string{command, "--out", p.file}, args...)...)
	b, err := os.ReadFile(p.file)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// ring is the document as the nodes have it now.
func (r ringctl) ring() *ring.Document {
	r.t.Helper()
	op := r.operator()
	defer op.Close()
	doc, err := op.Ring(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return doc
}

func (r ringctl) progress() (p admin.Progress) {
	r.t.Helper()
	code, out := r.run("progress", "-o", "json")
	if code != 0 && code != 4 {
		r.t.Fatalf("progress: exit code %d: %s", code, out)
	}
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		r.t.Fatalf("progress: %v in %s", err, out)
	}
	if p.Stalled() != (code == 4) {
		r.t.Errorf("progress: exit code %d with stalls %q", code, p.Stalls)
	}
	return p
}

// commitAndDie starts a change, and kills the program that waits for its end.
func (r ringctl) commitAndDie(file string) {
	r.t.Helper()
	cmd := r.command("commit", "--wait", "--rate", "1MiB", file)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	harness.Eventually(r.t, time.Minute, "the change runs", func() bool { return r.progress().Running })
	if err := cmd.Process.Kill(); err != nil {
		r.t.Error(err)
	}
	_ = cmd.Wait() // killed
}

// control looks at the running change, which stalls for a reason, pauses it, and
// lets it go on at another rate.
func (r ringctl) control(reason string) {
	r.t.Helper()
	harness.Eventually(r.t, time.Minute, "the reason of the stall is told", func() bool {
		return slices.ContainsFunc(r.progress().Stalls, func(s string) bool { return strings.HasPrefix(s, reason) })
	})
	r.must("pause")
	harness.Eventually(r.t, time.Minute, "it is paused", func() bool {
		p := r.progress()
		return p.Paused && len(p.Stalls) == 1 && strings.HasPrefix(p.Stalls[0], "paused")
	})
	r.must("throttle", "100MiB")
	r.must("resume")
	harness.Eventually(r.t, time.Minute, "it goes on at the new rate", func() bool {
		p := r.progress()
		return p.Running && !p.Paused && p.Throttle == 100<<20
	})
}

func (r ringctl) awaitEnd() {
	r.t.Helper()
	harness.Eventually(r.t, endOfChange, "the change has ended", func() bool { return !r.progress().Running })
}

// copied counts the replicas that one table has and the other had not.
func copied(was, is *ring.Document) int {
	moves, _ := ring.Diff(was.Table, is.Table)
	n := 0
	for _, m := range moves {
		if m.Add != 0 {
			n++
		}
	}
	return n
}

// load is what callers do while the ring changes: writers put objects that are new,
// counters count by compare-and-swap, readers read what was acknowledged.
type load struct {
	name   string
	end    context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	acked  []written
	counts [4]int
	errs   []error
	ops    atomic.Int64
}

func startLoad(t *testing.T, c *appclient.Client, name string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{name: name, end: cancel}
	t.Cleanup(func() { cancel(); l.wg.Wait() })
	for w := range 4 {
		l.wg.Go(func() { l.write(ctx, c, w) })
		l.wg.Go(func() { l.count(ctx, c, w) })
	}
	harness.Eventually(t, harness.Patience, "the load runs", func() bool { return l.ops.Load() > 500 })
	return l
}

func (l *load) failed(err error) {
	l.mu.Lock()
	l.errs = append(l.errs, err)
	l.mu.Unlock()
}

// pace leaves room on the machine for what is tested.
func pace(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Millisecond):
	}
}

func (l *load) write(ctx context.Context, c *appclient.Client, w int) {
	for i := 0; ctx.Err() == nil; i++ {
		key := written{fmt.Sprintf("%s/%d/%d", l.name, w, i%200), strconv.Itoa(i)}
		// The operation is finished although the load ends: its own time bounds it.
		if err := put(context.WithoutCancel(ctx), c, key); err != nil {
			l.failed(fmt.Errorf("put %v: %w", key, err))
			continue
		}
		l.ops.Add(1)
		l.mu.Lock()
		l.acked = append(l.acked, key)
		l.mu.Unlock()
		if i%4 == 0 {
			if o, err := get(ctx, c, key); err != nil || string(o.Value) != key.path {
				l.failed(fmt.Errorf("get %v: %v, %w", key, o, err))
			}
		}
		pace(ctx)
	}
}

func get(ctx context.Context, c *appclient.Client, key written) (*appclient.Object, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return c.Root(key.root).Get(ctx, key.path)
}

func (l *load) counter(w int) string { return fmt.Sprintf("%s/counter/%d", l.name, w) }

// count raises a counter that nobody else writes, by compare-and-swap: a lost or a
// doubled write shows as a version that is not the one written last.
func (l *load) count(ctx context.Context, c *appclient.Client, w int) {
	root := c.Root(l.counter(w))
	version := uint64(0)
	for n := 1; ctx.Err() == nil; n++ {
		op, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		var err error
		if n == 1 {
			version, err = root.Create(op, "n", []byte("1"))
		} else {
			version, err = root.CompareAndSwap(op, "n", version, []byte(strconv.Itoa(n)))
		}
		cancel()
		if err != nil {
			l.failed(fmt.Errorf("counter %d at %d: %w", w, n, err))
			return
		}
		l.ops.Add(1)
		l.counts[w] = n
		pace(ctx)
	}
}

// stop ends the load and checks all that was acknowledged, through another client;
// so many errors may have reached the callers.
func (l *load) stop(t *testing.T, c *appclient.Client, allowed int) {
	t.Helper()
	l.end()
	l.wg.Wait()
	for _, err := range l.errs {
		t.Logf("a caller saw an error: %v", err)
	}
	if len(l.errs) > allowed {
		t.Errorf("%d errors reached the callers, %d may", len(l.errs), allowed)
	}
	allThere(t, c, l.acked)
	for w, n := range l.counts {
		o, err := get(t.Context(), c, written{l.counter(w), "n"})
		// One that a caller saw fail may have been raised all the same.
		if err != nil || (string(o.Value) != strconv.Itoa(n) && len(l.errs) == 0) {
			t.Errorf("counter %d was raised to %d and reads %v, %v", w, n, o, err)
		}
	}
	t.Logf("%d operations, %d objects acknowledged, counters at %v", l.ops.Load(), len(l.acked), l.counts)
}
