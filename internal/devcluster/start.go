package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/ring"
)

// errPortTaken: a chosen port was taken between the look and the bind.
var errPortTaken = errors.New("port taken meanwhile")

// start does the steps of Start in order; again says that the cluster exists.
func (c *Cluster) start(ctx context.Context, again bool) error {
	if !again {
		if err := c.makeAccounts(ctx); err != nil {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.startServers(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errPortTaken) || c.opts.BasePort != 0 || attempt == startAttempts {
			return err
		}
	}
	c.opts.Progress(fmt.Sprintf("starting %d data nodes", len(c.info.Nodes)))
	for i := range c.info.Nodes {
		if err := c.startNode(&c.info.Nodes[i]); err != nil {
			return err
		}
	}
	opt := admin.BootstrapOptions{}
	if !again {
		opt = admin.BootstrapOptions{Partitions: c.opts.Partitions, Replicas: c.opts.replicas()}
	}
	err := c.watched(ctx, func(ctx context.Context) error { return c.bootstrap(ctx, opt) })
	if err != nil {
		return err
	}
	return c.info.save(c.files.info())
}

// describe fills in c.info: as it was (again is true) when the directory holds
// a stopped cluster, else a new one.
func (c *Cluster) describe() (again bool, err error) {
	old, err := Load(c.files.info())
	switch {
	case err == nil:
		if err := c.resume(old); err != nil {
			return true, err
		}
		c.local, err = c.madeLocal()
		return true, err
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := discardHalfMade(c.files); err != nil {
		return false, err
	}
	if err := makeCertificates(c.files, c.opts.Domain); err != nil {
		return false, err
	}
	if c.opts.Servers > 1 {
		if err := makeClusterSecrets(c.files, c.opts.Servers); err != nil {
			return false, err
		}
	}
	c.info = Info{
		Domain:            c.opts.Domain,
		CA:                c.files.ca(),
		InsecurePlaintext: c.opts.InsecurePlaintext,
		Accounts:          make(map[string]Account),
	}
	c.founds = true
	for i := range c.opts.Servers {
		c.info.Servers = append(c.info.Servers, Server{ID: serverID(i)})
	}
	for i := range c.opts.Nodes {
		id := nodeID(i)
		c.info.Nodes = append(c.info.Nodes, c.newNode(id))
	}
	return false, nil
}

func (c *Cluster) newNode(id string) Node {
	return Node{ID: id, JID: c.jid(id) + "/" + nodeResource, Data: c.files.data(id)}
}

// resume takes over the description of a cluster that ran here before.
func (c *Cluster) resume(old *Info) error {
	for _, pid := range old.pids() {
		if (foreign{pid, string(c.files)}).ours() {
			down := (&Cluster{files: c.files, info: *old}).notRunning()
			if len(down) == 0 {
				return fmt.Errorf("the cluster in %s is running; stop it with `ringctl dev down --dir %[1]s`", c.files)
			}
			return fmt.Errorf("part of the cluster in %s is running: start each of the others (%s) with `ringctl dev restart --dir %[1]s ID`, or stop all with `ringctl dev down --dir %[1]s`",
				c.files, strings.Join(down, ", "))
		}
	}
	if (c.opts.nodesGiven && len(old.Nodes) != c.opts.Nodes) || old.Domain != c.opts.Domain {
		return fmt.Errorf("%s holds a cluster of %d data nodes for domain %s: start it with --nodes %d --domain %s, or name another directory",
			c.files, len(old.Nodes), old.Domain, len(old.Nodes), old.Domain)
	}
	if c.opts.serversGiven && len(old.Servers) != c.opts.Servers {
		return fmt.Errorf("%s holds a cluster of %d XMPP servers: start it with --servers %d, or name another directory",
			c.files, len(old.Servers), len(old.Servers))
	}
	c.info = *old
	c.info.InsecurePlaintext = c.opts.InsecurePlaintext
	return writePIDs(c.files, nil)
}

func (i *Info) pids() []int {
	var pids []int
	for _, s := range i.Servers {
		pids = append(pids, s.PID)
	}
	for _, n := range i.Nodes {
		pids = append(pids, n.PID)
	}
	return pids
}

// nodeResource is the resource that data nodes bind.
const nodeResource = "store"

func (c *Cluster) startNode(n *Node) error { return c.run(n.ID, c.nodeArgs(n), &n.PID) }

// run starts a process and records it.
func (c *Cluster) run(id string, args []string, pid *int) error {
	if err := writeArgs(c.files.args(id), args); err != nil {
		return err
	}
	p, err := c.startProcess(id, args...)
	if err != nil {
		return err
	}
	c.procs[id] = p
	*pid = p.pid
	return recordPID(c.files, p.pid)
}

// startRecorded starts a process with the arguments it had, and records its new
// id in place of the old one. The directory and c.mu are locked.
func (c *Cluster) startRecorded(ctx context.Context, id string, pid *int) error {
	args, err := readArgs(c.files.args(id))
	if err != nil {
		return err
	}
	p, err := c.startProcess(id, args...)
	if err != nil {
		return err
	}
	c.procs[id] = p
	*pid = p.pid
	if err := c.record(); err != nil {
		// A process that no file names could not be stopped by anybody.
		p.stop(c.opts.StopTimeout)
		delete(c.procs, id)
		*pid = 0
		return fmt.Errorf("%s was stopped again: %w", id, err)
	}
	for i := range c.info.Servers {
		if s := &c.info.Servers[i]; s.ID == id {
			return c.awaitRecorded(ctx, p, s)
		}
	}
	return nil
}

// awaitRecorded waits until a server that was started again takes logins, and, where all others run, has its copies.
func (c *Cluster) awaitRecorded(ctx context.Context, p *process, s *Server) error {
	if err := c.majority(); err != nil {
		return err
	}
	if err := c.awaitServer(ctx, p, s); err != nil || slices.ContainsFunc(c.notRunning(), IsServer) {
		return err
	}
	return c.together(ctx, c.info.Servers, p)
}

// record writes down which processes there are.
func (c *Cluster) record() error {
	if err := writePIDs(c.files, c.info.pids()); err != nil {
		return err
	}
	return c.info.save(c.files.info())
}

// pidOf returns where the description keeps the process id; nil for no such id.
func (i *Info) pidOf(id string) *int {
	for n := range i.Servers {
		if i.Servers[n].ID == id {
			return &i.Servers[n].PID
		}
	}
	for n := range i.Nodes {
		if i.Nodes[n].ID == id {
			return &i.Nodes[n].PID
		}
	}
	return nil
}

func (i *Info) ids() []string {
	var ids []string
	for _, s := range i.Servers {
		ids = append(ids, s.ID)
	}
	for _, n := range i.Nodes {
		ids = append(ids, n.ID)
	}
	return ids
}

// nodeArgs are the arguments of a data node's process.
func (c *Cluster) nodeArgs(n *Node) []string {
	bare, _, _ := strings.Cut(n.JID, "/")
	args := []string{
		"datanode", "run",
		"--dir", n.Data,
		"--jid", bare,
		"--password-file", c.files.secret(n.ID),
		"--operator", c.jid(operatorAccount),
		"--app", c.jid(appAccount),
	}
	for _, addr := range c.serversFor(n) {
		args = append(args, "--addr", addr)
	}
	if n.Metrics != "" {
		args = append(args, "--listen-metrics", n.Metrics, "--pprof")
	}
	if c.info.InsecurePlaintext {
		return append(args, "--insecure-plaintext")
	}
	return append(args, "--ca", c.info.CA)
}

// serversFor are the addresses of a node's servers, in an order that spreads the nodes
// over them.
func (c *Cluster) serversFor(n *Node) []string {
	first := max(slices.IndexFunc(c.info.Nodes, func(other Node) bool { return other.ID == n.ID }), 0)
	var addrs []string
	for i := range c.info.Servers {
		addrs = append(addrs, c.info.Servers[(first+i)%len(c.info.Servers)].C2S)
	}
	return addrs
}

func (c *Cluster) jid(account string) string { return account + "@" + c.info.Domain }

// replicas is the number of copies the new cluster makes.
func (o Options) replicas() int {
	if o.Replicas != 0 {
		return o.Replicas
	}
	return min(ring.DefaultReplicas, o.Nodes)
}
