package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

// startServers chooses ports, starts the XMPP servers and waits until they answer and
// are connected to each other.
func (c *Cluster) startServers(ctx context.Context) error {
	if err := c.choosePorts(); err != nil {
		return err
	}
	for i := range c.info.Servers {
		s := &c.info.Servers[i]
		args, err := c.serverArgs(s)
		if err != nil {
			return err
		}
		c.opts.Progress("starting an XMPP server on " + s.C2S)
		if err := c.run(s.ID, args, &s.PID); err != nil {
			return err
		}
	}
	var failed error
	for i := range c.info.Servers {
		s := &c.info.Servers[i]
		if failed = c.awaitServer(ctx, c.procs[s.ID], s); failed != nil {
			break
		}
	}
	if failed == nil {
		if err := c.WaitTogether(ctx); err != nil {
			return err
		}
		return c.founded()
	}
	taken := false
	for _, s := range c.info.Servers {
		p := c.procs[s.ID]
		taken = taken || p.exited() && strings.Contains(tail(p.log, 3), "in use")
		p.stop(c.opts.StopTimeout)
		delete(c.procs, s.ID)
	}
	if taken {
		return fmt.Errorf("%w: %w", errPortTaken, failed)
	}
	return failed
}

// awaitServer waits until a server takes logins and is connected to the other ones
// that run.
func (c *Cluster) awaitServer(ctx context.Context, p *process, s *Server) error {
	if err := awaitHTTP(ctx, p, "http://"+s.HTTP+"/healthz"); err != nil {
		return err
	}
	others := 0
	for _, other := range c.info.Servers {
		if other.ID != s.ID && (foreign{other.PID, string(c.files)}).ours() {
			others++
		}
	}
	if others == 0 {
		return nil
	}
	links := 0
	err := poll(ctx, pollEvery, func() (bool, error) {
		if p.exited() {
			return false, p.diedError()
		}
		links = linksUp(ctx, s)
		return links >= others, nil
	})
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s is connected to %d of %d other servers: %w; the end of %s:\n%s", s.ID, links, others, err, p.log, tail(p.log, 12))
	}
	return err
}

// metrics are what a server tells of itself, by series; empty when it does not answer: it is asked again.
func metrics(ctx context.Context, s *Server) map[string]float64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+"/metrics", nil)
	if err != nil {
		return nil
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil
	}
	all := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			all[series] = n
		}
	}
	return all
}

// linksUp is how many others a server is connected to.
func linksUp(ctx context.Context, s *Server) (up int) {
	for series, n := range metrics(ctx, s) {
		if strings.HasPrefix(series, "xmppd_cluster_link_up{") && n == 1 {
			up++
		}
	}
	return up
}

// choosePorts gives the servers and the nodes' metrics their ports: those that a
// cluster had before, so that addresses written down elsewhere stay right, unless others
// are asked for or somebody else uses one.
func (c *Cluster) choosePorts() error {
	var fields []*string
	for i := range c.info.Servers {
		s := &c.info.Servers[i]
		fields = append(fields, &s.C2S, &s.TLS, &s.HTTP, &s.Cluster)[:len(fields)+portsOf(len(c.info.Servers))]
	}
	if c.opts.Metrics || slices.ContainsFunc(c.info.Nodes, func(n Node) bool { return n.Metrics != "" }) {
		for i := range c.info.Nodes {
			fields = append(fields, &c.info.Nodes[i].Metrics)
		}
	}
	taken := slices.IndexFunc(fields, func(addr *string) bool { return *addr == "" || probe(*addr) != nil })
	if c.opts.BasePort == 0 && taken < 0 {
		return nil
	}
	if taken >= 0 && *fields[taken] != "" && c.opts.BasePort == 0 {
		c.opts.Progress(*fields[taken] + ", where the cluster was before, is in use: other ports are chosen")
	}
	ports, err := ChoosePorts(len(fields), c.opts.BasePort)
	if err != nil {
		return err
	}
	for i, addr := range ports {
		*fields[i] = addr
	}
	return nil
}

// serverArgs are the arguments of an XMPP server's process.
func (c *Cluster) serverArgs(s *Server) ([]string, error) {
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
	config := c.opts.ServerConfig
	if len(c.info.Servers) > 1 {
		config = c.files.config(s.ID)
		if err := c.writeConfig(s, config); err != nil {
			return nil, err
		}
	}
	if config != "" {
		args = append(args, "--config", config)
	}
	return args, nil
}

// writeConfig writes the file of a server that is one of several: the settings given
// for all, and its place among the others.
func (c *Cluster) writeConfig(s *Server, file string) error {
	var b strings.Builder
	if c.opts.ServerConfig != "" {
		text, err := os.ReadFile(c.opts.ServerConfig)
		if err != nil {
			return fmt.Errorf("read server configuration: %w", err)
		}
		fmt.Fprintf(&b, "%s\n", text)
	}
	fmt.Fprintf(&b, "[cluster]\nlisten = %q\nname = %q\nkey_file = %s\nca = %s\ncert = %s\nkey = %s\njoin = [", s.Cluster, s.ID,
		strconv.Quote(c.files.clusterKey()), strconv.Quote(c.files.clusterCA()), strconv.Quote(c.files.ownCert(s.ID)), strconv.Quote(c.files.ownKey(s.ID)))
	for _, other := range c.info.Servers {
		if other.ID != s.ID {
			fmt.Fprintf(&b, "%q, ", other.Cluster)
		}
	}
	fmt.Fprintf(&b, "]\n%s", c.storage(s))
	return writeSecret(file, []byte(b.String()))
}
