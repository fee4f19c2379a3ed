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
		err := c.startServer(ctx)
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
		return true, c.resume(old)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := discardHalfMade(c.files); err != nil {
		return false, err
	}
	if err := makeCertificates(c.files, c.opts.Domain); err != nil {
		return false, err
	}
	c.info = Info{
		Domain:            c.opts.Domain,
		CA:                c.files.ca(),
		InsecurePlaintext: c.opts.InsecurePlaintext,
		Accounts:          make(map[string]Account),
	}
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
			return fmt.Errorf("the cluster in %s is running; stop it with `ringctl dev down --dir %s`", c.files, c.files)
		}
	}
	if (c.opts.nodesGiven && len(old.Nodes) != c.opts.Nodes) || old.Domain != c.opts.Domain {
		return fmt.Errorf("%s holds a cluster of %d data nodes for domain %s: start it with --nodes %d --domain %s, or name another directory",
			c.files, len(old.Nodes), old.Domain, len(old.Nodes), old.Domain)
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

// startServer chooses ports, starts the XMPP server and waits until it answers.
func (c *Cluster) startServer(ctx context.Context) error {
	s := &c.info.Servers[0]
	if err := c.choosePorts(s); err != nil {
		return err
	}
	c.opts.Progress("starting the XMPP server on " + s.C2S)
	if err := c.run(s.ID, c.serverArgs(s), &s.PID); err != nil {
		return err
	}
	p := c.procs[s.ID]
	if err := awaitHTTP(ctx, p, healthURL(s)); err != nil {
		if p.exited() && strings.Contains(tail(p.log, 3), "in use") {
			return fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	return nil
}

// choosePorts gives the server and the nodes' metrics their ports: those that a
// cluster had before, so that addresses written down elsewhere stay right, unless others
// are asked for or somebody else uses one.
func (c *Cluster) choosePorts(s *Server) error {
	old := []string{s.C2S, s.TLS, s.HTTP}
	metrics := c.opts.Metrics || slices.ContainsFunc(c.info.Nodes, func(n Node) bool { return n.Metrics != "" })
	if metrics {
		for _, n := range c.info.Nodes {
			old = append(old, n.Metrics)
		}
	}
	ports := old
	if taken := slices.IndexFunc(old, func(addr string) bool { return addr == "" || probe(addr) != nil }); c.opts.BasePort != 0 || taken >= 0 {
		if taken >= 0 && old[taken] != "" && c.opts.BasePort == 0 {
			c.opts.Progress(old[taken] + ", where the cluster was before, is in use: other ports are chosen")
		}
		var err error
		if ports, err = ChoosePorts(len(old), c.opts.BasePort); err != nil {
			return err
		}
	}
	s.C2S, s.TLS, s.HTTP = ports[0], ports[1], ports[2]
	for i := range ports[portsPerServer:] {
		c.info.Nodes[i].Metrics = ports[portsPerServer+i]
	}
	return nil
}

func healthURL(s *Server) string { return "http://" + s.HTTP + "/healthz" }

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
	if isServer(id) {
		return awaitHTTP(ctx, p, healthURL(&c.info.Servers[0]))
	}
	return nil
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

// serverArgs are the arguments of the XMPP server's process.
func (c *Cluster) serverArgs(s *Server) []string {
	registration := "closed"
	if c.opts.OpenRegistration {
		registration = "open"
	}
	args := []string{
		"xmppd", "serve",
		"--domain", c.info.Domain,
		"--data", c.files.data(s.ID),
		"--listen-c2s", s.C2S, "--listen-tls", s.TLS, "--listen-http", s.HTTP,
		"--tls-cert", c.files.cert(), "--tls-key", c.files.key(),
		"--registration", registration,
	}
	if c.info.InsecurePlaintext {
		args = append(args, "--insecure-plaintext")
	}
	if c.opts.ServerConfig != "" {
		args = append(args, "--config", c.opts.ServerConfig)
	}
	return args
}

// nodeArgs are the arguments of a data node's process.
func (c *Cluster) nodeArgs(n *Node) []string {
	bare, _, _ := strings.Cut(n.JID, "/")
	args := []string{
		"datanode", "run",
		"--dir", n.Data,
		"--jid", bare,
		"--password-file", c.files.secret(n.ID),
		"--addr", c.info.Servers[0].C2S,
		"--operator", c.jid(operatorAccount),
		"--app", c.jid(appAccount),
	}
	if n.Metrics != "" {
		args = append(args, "--listen-metrics", n.Metrics)
	}
	if c.info.InsecurePlaintext {
		return append(args, "--insecure-plaintext")
	}
	return append(args, "--ca", c.info.CA)
}

func (c *Cluster) jid(account string) string { return account + "@" + c.info.Domain }

// replicas is the number of copies the new cluster makes.
func (o Options) replicas() int {
	if o.Replicas != 0 {
		return o.Replicas
	}
	return min(ring.DefaultReplicas, o.Nodes)
}
