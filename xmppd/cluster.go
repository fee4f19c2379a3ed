package xmppd

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/modules/carbons"
	"github.com/rosterdb/rosterdb/xmppd/modules/offline"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// ClusterConfig makes the server one of several that serve the domain together.
type ClusterConfig struct {
	Listen    string   `toml:"listen"`    // host:port, UDP and TCP, for the other servers. Empty: there are none
	Name      string   `toml:"name"`      // of this server, as in its certificate; empty: the host's
	Advertise string   `toml:"advertise"` // host:port that the others reach it at; empty: listen
	Join      []string `toml:"join"`      // host:port of some others; a name stands for all its addresses
	Zone      string   `toml:"zone"`      // such as a data centre; may be empty
	KeyFile   string   `toml:"key_file"`  // its first line is the key of the gossip: 16, 24 or 32 bytes in base64 or hex
	CA        string   `toml:"ca"`        // PEM file of the authority that signs the servers' certificates
	Cert      string   `toml:"cert"`      // PEM file
	Key       string   `toml:"key"`       // PEM file
	// NoRedirects: nothing is remembered of where sessions are; each stanza asks for it.
	NoRedirects bool `toml:"no_redirects"`

	// Redirect says which clients are sent to servers with less to do: able (those that have said that
	// they can follow), all, or off.
	Redirect  string `toml:"redirect"`
	PublicC2S string `toml:"public_c2s"` // host or host:port where clients are sent to, for listen_c2s; empty: nowhere
	PublicTLS string `toml:"public_tls"` // the same for listen_tls
	// Storage says where accounts and what is kept for them are: replicated, on several servers of the
	// cluster, or local, each server having its own.
	Storage string `toml:"storage"`
	Found   bool   `toml:"found"` // makes a new cluster if none of Join has one; on one server only
}

func (c *ClusterConfig) check() error {
	if c.Redirect != "able" && c.Redirect != "all" && c.Redirect != "off" {
		return fmt.Errorf("cluster.redirect is able, all or off, not %q", c.Redirect)
	}
	for key, addr := range map[string]string{"public_c2s": c.PublicC2S, "public_tls": c.PublicTLS} {
		if err := checkPublic(addr); err != nil {
			return fmt.Errorf("cluster.%s: %w", key, err)
		}
	}
	if c.Listen == "" {
		if c.Name != "" || len(c.Join) > 0 || c.Found {
			return errors.New("cluster.listen is missing: the address for other servers")
		}
		return nil
	}
	if c.Storage != "replicated" && c.Storage != "local" {
		return fmt.Errorf("cluster.storage is replicated or local, not %q", c.Storage)
	}
	for key, value := range map[string]string{"key_file": c.KeyFile, "ca": c.CA, "cert": c.Cert, "key": c.Key} {
		if value == "" {
			return fmt.Errorf("cluster.%s is missing: servers talk to each other with a shared key and certificates of an authority of their own", key)
		}
	}
	return nil
}

// key reads the key of the gossip.
func (c *ClusterConfig) key() ([]byte, error) {
	text, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cluster.key_file: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSpace(line)
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if key, err := decode(line); err == nil && (len(key) == 16 || len(key) == 24 || len(key) == 32) {
			return key, nil
		}
	}
	return nil, errors.New("cluster.key_file: its first line is 16, 24 or 32 bytes in base64 or hex, as `openssl rand -base64 32` writes them")
}

// node reads what the cluster needs.
func (c *ClusterConfig) node(domain string) (n cluster.Config, err error) {
	n = cluster.Config{Name: c.Name, Cluster: domain, Zone: c.Zone, Listen: c.Listen, Advertise: c.Advertise, Join: c.Join}
	if n.Name == "" {
		if n.Name, err = os.Hostname(); err != nil {
			return n, fmt.Errorf("cluster.name: %w", err)
		}
		n.Name = strings.ToLower(n.Name)
	}
	if n.Key, err = c.key(); err != nil {
		return n, err
	}
	ca, err := os.ReadFile(c.CA)
	if err != nil {
		return n, fmt.Errorf("cluster.ca: %w", err)
	}
	n.Authority = x509.NewCertPool()
	if !n.Authority.AppendCertsFromPEM(ca) {
		return n, errors.New("cluster.ca: there is no certificate in it")
	}
	n.Certificate, err = c.certificate(n.Name, n.Authority)
	return n, err
}

// newNode makes the server one of a cluster.
func (s *Server) newNode() error {
	cfg, err := s.cfg.Cluster.node(s.cfg.Domain)
	if err != nil {
		return misconfigured(err)
	}
	cfg.Log, cfg.Registerer, cfg.Links = s.log, s.registry, s.faults.links
	cfg.Cut, cfg.Asked = s.faults.cut, s.asked
	cfg.Links.Up = func(server string, incarnation uint64) {
		s.handover.Up(server)
		s.replicas.up(server)
		s.exchange.Up(server, incarnation)
		if s.balance != nil {
			s.balance.Up(server)
		}
	}
	cfg.Links.Down = func(server string) {
		s.handover.Down(server)
		s.replicas.down(server)
		s.exchange.Down(server)
		if s.balance != nil {
			s.balance.Down(server)
		}
	}
	cfg.Links.Data = s.replicas.cluster
	n, err := cluster.New(cfg)
	if errors.Is(err, cluster.ErrName) {
		return misconfigured(fmt.Errorf("cluster.name: %w", err))
	}
	if err != nil {
		return err
	}
	s.cluster, s.authority = n, cfg.Authority
	return nil
}

// newExchange has the server exchange stanzas with the others of its cluster, if it is of one.
func (s *Server) newExchange(table *session.Table, r *router.Router, ims *im.Service) {
	if s.cluster == nil {
		return
	}
	cache := s.faults.cache
	if s.cfg.Cluster.NoRedirects {
		cache = -1
	}
	s.exchange = exchange.New(exchange.Config{
		Self: s.cluster.Self().Name, Mesh: s.cluster.Mesh(), Table: table, Router: r, IM: ims, Cache: cache, Zone: s.cluster.Zone, Lost: s.replicas.lost, Log: s.log, Faults: s.faults.exchange,
	})
	s.exchange.Register(s.registry)
	s.newBalance(s.cluster, table)
	s.newHandover(table, r, ims)
	s.newAsker(table)
	s.drainer = newDrainer(s, table)
	s.ahead = newAhead(ims.Grouped, ims.Remember, s.log, s.faults.ahead)
	table.Changed = func(u *session.User) {
		s.exchange.Changed(u)
		s.ahead.changed(u)
	}
	table.Forgotten = s.ahead.forgotten
	r.SetCluster(s.exchange)
	ims.SetOthers(s.exchange, s.refresh.wake)
	s.exchange.Start()
}

// registration is how long a client that has bound a resource waits at most until the other servers can
// know of it.
const registration = 2 * time.Second

// registered waits until the other servers can find a session.
func (s *Server) registered(ctx context.Context, sess *session.Session) {
	if s.exchange == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, registration)
	defer stop()
	s.exchange.Registered(ctx, sess.Bare)
}

// sessionsElsewhere counts the sessions that an account has on other servers; nil: there are none.
func (s *Server) sessionsElsewhere() func(ctx context.Context, account, but string) int {
	if s.exchange == nil || s.faults.countHere {
		return nil
	}
	return func(ctx context.Context, account, but string) int {
		ctx, stop := context.WithTimeout(ctx, registration)
		defer stop()
		return s.exchange.SessionsElsewhere(ctx, account, but)
	}
}

// loadEvery is how often the other servers are told how much this one has to do.
const loadEvery = 2 * time.Second

// tellCluster tells the other servers, again and again, how this one is.
func (s *Server) tellCluster(ctx context.Context, table *session.Table) {
	if s.cluster == nil {
		return
	}
	if s.balance != nil {
		s.running.Go(func() { s.balance.Run(ctx) })
	}
	s.running.Go(func() {
		t := time.NewTicker(loadEvery)
		defer t.Stop()
		for {
			s.tellLoad(table)
			s.replicas.tell()
			select {
			case <-t.C:
			case <-s.drainer.news:
			case <-ctx.Done():
				return
			}
		}
	})
	s.running.Go(func() { s.drainer.run(ctx) })
}

// tellLoad tells the other servers what this one is about to do, and how much.
func (s *Server) tellLoad(table *session.Table) {
	now := cluster.Up
	switch {
	case s.draining.Load() && table.Count() == 0 && (s.exchange.Idle() || s.faults.hasty): // what waits here is nowhere else
		now = cluster.Drained
	case s.draining.Load():
		now = cluster.Draining
	}
	s.cluster.Tell(func(state *cluster.State, load *cluster.Load) {
		*state, load.Sessions, load.CPU = now, table.Count(), s.cpu.Share()
	})
}

// closeCluster leaves the other servers, behind the clients' streams: what these left goes there first.
func (s *Server) closeCluster() error {
	if s.cluster == nil {
		return nil
	}
	if s.exchange == nil { // it has never begun
		return s.cluster.Close()
	}
	s.finishWork()
	err := s.cluster.Close()
	if s.replicas != nil { // from now on nobody waits for what can't come any more
		err = errors.Join(err, s.closeRecords())
		s.closeRecords = nil
	}
	s.exchange.Close()
	return err
}

const (
	lastWork = 2 * time.Second  // that a server which stops goes on with what waits in it, without getting on much
	mostWork = 20 * time.Second // in all
	getsOn   = 32               // stanzas that are handled in lastWork where it gets on
)

// finishWork goes on with what waits here: it may need the others' records, and nobody else has it.
func (s *Server) finishWork() {
	last := time.Now().Add(mostWork)
	most, _ := s.exchange.Waiting()
	for end := time.Now().Add(lastWork); ; time.Sleep(10 * time.Millisecond) { // the pause of a poll
		now := time.Now()
		n, idle := s.exchange.Waiting()
		switch {
		case idle || now.After(end) || now.After(last):
			return
		case n <= most-getsOn && !s.faults.hasty:
			most, end = n, now.Add(lastWork)
		}
	}
}

// carbons are copies for other clients of an account, on other servers as well.
func (s *Server) carbons(table *session.Table) *carbons.Module {
	m := carbons.New(table, s.registry)
	if s.exchange != nil {
		m.Elsewhere = s.exchange
		s.exchange.OnCopy(m.CopyHere, m.Moved)
	}
	return m
}

// offline keeps messages for accounts that are not there, nor on other servers.
func (s *Server) offline(r *router.Router, table *session.Table) *offline.Module {
	opt := offline.Options{
		Config: s.cfg.Modules.Offline, Store: s.records, Table: table, Domain: s.cfg.Domain,
		Exists: account.Exists, Blocked: r.Blocked, Undelivered: r.Undelivered, Log: s.log, Registerer: s.registry,
	}
	if s.exchange == nil {
		return offline.New(opt)
	}
	opt.Kept = s.exchange.Kept
	if s.cfg.Cluster.Storage == "replicated" {
		self := s.cluster.Self()
		opt.Claims = &offline.Claims{Server: self.Name, Incarnation: self.Incarnation, Fate: s.fate}
	}
	s.kept = offline.New(opt)
	s.exchange.OnKept(s.kept.Look)
	return s.kept
}

// fate tells what is known of another server's process.
func (s *Server) fate(server string, incarnation uint64) offline.Fate {
	switch now, connected := s.cluster.Mesh().Incarnation(server); {
	case !connected:
		return offline.Away
	case now != incarnation && !s.faults.oneProcess:
		return offline.Gone
	}
	return offline.Here
}
