package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// smokeLimit ends a smoke run that would take longer than it promises.
const smokeLimit = 58 * time.Second

// Options say how the demo runs.
type Options struct {
	Nodes int // data nodes; default 5
	// Smoke loads the Go sources without tests, and does not stay.
	Smoke    bool
	Out      io.Writer // for people
	Terminal bool      // Out is one
	Getenv   func(string) string
	Binary   string // default: the running executable
}

// Run does the tour. The report is complete when err is nil, and says whether
// everything held; then, unless Smoke is set, Run stays until ctx ends. Nothing
// is left when it returns: neither processes nor files.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	if o.Nodes == 0 {
		o.Nodes = 5
	}
	if o.Smoke {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, smokeLimit)
		defer cancel()
	}
	endWithParent(o.Getenv)
	removeStale(os.TempDir())
	dir, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() {
		if rm := os.RemoveAll(dir); rm != nil {
			err = errors.Join(err, fmt.Errorf("remove the demo's files: %w", rm))
		}
	}()
	t := &tour{o: o, report: &Report{Nodes: o.Nodes}}
	set, err := findDataset(ctx, o.Getenv, selection{skipTests: o.Smoke})
	if err != nil {
		return nil, err
	}
	t.set = set
	t.say("The data: %s: %d packages, %d files, %.1f MiB.", set.Title, len(set.Packages), set.Files, mib(set.Bytes))
	if err := t.startCluster(ctx, dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.cluster.Close()) }()
	if err := t.steps(ctx); err != nil {
		if o.Smoke && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("not through after %s; is the machine busy with something else? %w", smokeLimit, err)
		}
		return nil, err
	}
	t.report.OK = len(t.report.Problems) == 0
	fmt.Fprintln(o.Out)
	t.report.print(o.Out)
	if !o.Smoke {
		t.whatNext()
		<-ctx.Done()
		fmt.Fprintln(o.Out, "\nStopping the cluster and removing its files.")
	}
	return t.report, nil
}

// dirPrefix begins the name of every demo's directory.
const dirPrefix = "rosterdb-demo-"

// removeStale removes what demos that were killed have left in the directory for
// temporary files. What cannot be removed, as other users' directories, stays.
func removeStale(tmp string) {
	dirs, err := filepath.Glob(filepath.Join(tmp, dirPrefix+"*"))
	if err != nil {
		return // only for a bad pattern
	}
	for _, dir := range dirs {
		_, _ = devcluster.RemoveStopped(dir) // a later demo tries again
	}
}

// tour is a run of the demo.
type tour struct {
	o       Options
	set     *Dataset
	cluster *devcluster.Cluster
	report  *Report

	writer, reader *appclient.Client
	loaded         *manifest
	victim         string // the data node that was killed
}

func (t *tour) say(format string, args ...any) {
	fmt.Fprintf(t.o.Out, format+"\n", args...)
}

// servers is how many XMPP servers the domain has.
const servers = 3

func (t *tour) startCluster(ctx context.Context, dir string) error {
	t.say("Starting an XMPP domain of %d servers and %d data nodes as processes on loopback, with TLS and SCRAM-SHA-256.", servers, t.o.Nodes)
	begin := time.Now()
	c, err := devcluster.Start(ctx, devcluster.Options{
		Dir: dir, Binary: t.o.Binary, Servers: servers, Nodes: t.o.Nodes, DieWithParent: true,
		Progress: func(step string) { t.say("  %s", step) },
	})
	if err != nil {
		return err
	}
	t.cluster = c
	t.report.row("cluster healthy after", "%.1f s: %d data nodes, all partitions led", time.Since(begin).Seconds(), t.o.Nodes)
	return nil
}

// steps runs the steps in order. A step that finds something wrong notes it in
// the report; an error means that the demo cannot go on.
func (t *tour) steps(ctx context.Context) (err error) {
	if t.writer, err = t.dial(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.writer.Close()) }()
	if t.reader, err = t.dial(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.reader.Close()) }()
	for _, step := range []func(context.Context) error{t.load, t.readBack, t.followReferences, t.killInStream} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) dial(ctx context.Context) (*appclient.Client, error) {
	cfg, err := appclient.FromDev(t.cluster.File())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	c, err := appclient.Dial(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("log in as an application: %w", err)
	}
	return c, nil
}

func (t *tour) load(ctx context.Context) error {
	t.say("Loading: one root object a package, its files under it, its imports as weak references.")
	p := newProgress(t.o.Out, t.o.Terminal, "writing", t.set.values())
	m, err := load(ctx, t.writer, t.set, p)
	if err != nil {
		return err
	}
	d := p.finish()
	t.loaded = m
	t.report.Objects = len(m.objects)
	t.report.Acknowledged = len(m.objects)
	t.report.row("loaded in three copies", "%d (%.1f MiB) in %.1f s: %.0f/s, %.1f MiB/s",
		len(m.objects), mib(m.bytes), d.Seconds(), perSecond(len(m.objects), d), mib(m.bytes)/d.Seconds())
	return nil
}

func (t *tour) readBack(ctx context.Context) error {
	t.say("Reading everything back through a second application client, comparing bytes.")
	p := newProgress(t.o.Out, t.o.Terminal, "reading", t.loaded.bytes)
	wrong, err := readBack(ctx, t.reader, t.loaded, p)
	if err != nil {
		return err
	}
	d := p.finish()
	if wrong > 0 {
		t.report.Lost += wrong
		t.report.problem("%d of %d objects were not read back with equal bytes", wrong, len(t.loaded.objects))
	}
	t.report.ReadsPerS = perSecond(len(t.loaded.objects), d)
	t.report.row("read back, linearizable", "%d in %.1f s: %.0f/s, %.1f MiB/s; %d differ", len(t.loaded.objects), d.Seconds(), t.report.ReadsPerS, mib(t.loaded.bytes)/d.Seconds(), wrong)
	return nil
}

func (t *tour) followReferences(ctx context.Context) error {
	t.say("Following references from %s to a package that imports nothing:", chainStart)
	hops, err := follow(ctx, t.reader, chainStart)
	if err != nil {
		t.report.problem("%v", err)
		return ctx.Err()
	}
	t.say("  %s", chainText(hops))
	nodes := map[string]bool{}
	for _, h := range hops {
		nodes[h.leader] = true
	}
	t.report.row("references followed", "%d from %s to %s, by %d nodes", len(hops)-1, hops[0].root, hops[len(hops)-1].root, len(nodes))
	return nil
}

func (t *tour) killInStream(ctx context.Context) error {
	jid, ledBefore := chooseVictim(t.writer)
	id := nodeName(jid)
	t.victim = id
	pl := standard()
	server := t.cluster.Info().Servers[0].ID
	t.say("Writing with %d writers, and killing %s and an XMPP server, %s (SIGKILL), in the middle.", pl.writers, id, server)
	r, err := stream(ctx, t.writer, pl, ledBefore, func() error { return errors.Join(t.cluster.Kill(id), t.cluster.Kill(server)) })
	if err != nil {
		return err
	}
	p := newProgress(io.Discard, false, "", 0)
	lost, err := readBack(ctx, t.reader, r.manifest(), p)
	if err != nil {
		return err
	}
	missing, err := listAll(ctx, t.reader, t.loaded)
	if err != nil {
		return err
	}
	t.judge(r, pl, lost, missing)
	return nil
}

// judge puts the outcome of the stream into the report.
func (t *tour) judge(r *streamResult, pl plan, lost, missing int) {
	rep, victim := t.report, t.victim
	rep.Acknowledged += len(r.acks)
	rep.Lost += lost + missing
	rep.Errors += len(r.errs)
	rep.WritesPerS = perSecond(len(r.acks), r.elapsed)
	rep.LongestGapMS = millis(r.longestGap)
	rep.row("acked around the kill", "%d in %.1f s: %.0f/s; %d errors", len(r.acks), r.elapsed.Seconds(), rep.WritesPerS, len(r.errs))
	rep.row("taken over from "+victim, "%d writes by the new leaders", r.moved)
	rep.row("longest gap of a writer", "%.0f ms between two acks", rep.LongestGapMS)
	rep.row("acked writes missing", "%d of %d", rep.Lost, rep.Acknowledged)
	if lost > 0 {
		rep.problem("%d acknowledged writes of the stream are missing after the kill", lost)
	}
	if missing > 0 {
		rep.problem("%d of the loaded objects are missing after the kill", missing)
	}
	if len(r.errs) > 0 {
		rep.problem("%d writes failed, the first: %v", len(r.errs), r.errs[0])
	}
	if len(r.acks) < pl.writes {
		rep.problem("only %d of %d writes were acknowledged in %s", len(r.acks), pl.writes, pl.limit)
	}
	if r.moved == 0 {
		rep.problem("no write to a partition of %s was acknowledged after the kill", victim)
	}
}

// whatNext prints what a visitor can do now.
func (t *tour) whatNext() {
	info := t.cluster.Info()
	self := Program(t.o.Binary)
	op, user1, user2 := info.Accounts["operator"], info.Accounts["user1"], info.Accounts["user2"]
	t.say(`
The cluster stays until you press ctrl-C. In another terminal:

  export ROSTERDB_DEV=%[1]s
  %[2]s status --watch    # one node is down; it is listed
  %[2]s where net/http    # partition, leader, replicas
  %[2]s ls --prefix net/  # roots; ls net/http: its files
  %[2]s get net/http      # one object; put, delete: try it
  %[2]s dev restart %[3]s   # the killed one comes back with its disk
  %[2]s dev restart x1    # the XMPP server, too
  kill -9 %[4]d           # another one: nobody notices

With any chat client: server 127.0.0.1, port %[5]s, STARTTLS, with the authority
  %[6]s
operator sees the data nodes and their health in its roster:
  %[7]s  password %[8]s
  %[9]s  password %[10]s
  %[11]s  password %[12]s
`, t.cluster.File(), self, t.victim, info.Servers[1].PID,
		port(info.Servers[1].C2S), info.CA, op.JID, op.Password, user1.JID, user1.Password, user2.JID, user2.Password)
}

// Program returns how to call this program from a shell, for commands that people
// paste: ringctl where the shell finds just this one under that name. binary is
// the executable, by default the running one.
func Program(binary string) string {
	if binary == "" {
		exe, err := os.Executable()
		switch {
		case err != nil:
			return "ringctl"
		case strings.Contains(exe, "/go-build"):
			return "go run ./cli/ringctl"
		}
		binary = exe
	}
	if found, err := exec.LookPath("ringctl"); err == nil && sameFile(found, binary) {
		return "ringctl"
	}
	return binary
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func port(addr string) string {
	_, p, _ := strings.Cut(addr, ":")
	return p
}
