package xmppd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/cluster/carrier"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// clusterDir is the folder of the data directory that has this server's share of the cluster's records.
const clusterDir = "cluster"

// logSegment is the size of the files of a server's log, in bytes. Accounts write little.
const logSegment = 16 << 20

// openRecords opens what the server keeps for its accounts.
func (s *Server) openRecords() error {
	s.health = func() error { return nil }
	if s.cfg.Cluster.Listen != "" {
		s.replicas = nil
		if s.cfg.Cluster.Storage == "replicated" && s.faults.records == nil {
			s.replicas = &replicas{}
		}
		if err := s.newNode(); err != nil {
			return err
		}
	}
	if s.replicas != nil {
		return s.openReplicas()
	}
	if err := notOfCluster(s.cfg.Data); err != nil {
		return misconfigured(err)
	}
	disk, err := bolt.Open(s.cfg.Data, s.cfg.Domain)
	if err != nil {
		return err
	}
	s.records, s.broken, s.health, s.closeRecords = disk, disk.Failed(), disk.Health, disk.Close
	if s.faults.records != nil {
		s.records = s.faults.records
	}
	s.store = account.NewStore(s.records)
	return nil
}

// notOfCluster refuses a data directory whose records are those of a cluster.
func notOfCluster(data string) error {
	dir := filepath.Join(data, clusterDir)
	if _, err := os.Stat(dir); err != nil { // what else is wrong with the directory shows when it is opened
		return nil //nolint:nilerr // as said
	}
	return fmt.Errorf("%s has this server's share of the records of a cluster: start the server with the [cluster] that it belongs to (storage = \"replicated\"), or give it another data directory", dir)
}

// replicas are the records of a server of a cluster. A nil one stands for records on one disk.
type replicas struct {
	*replicated.Store
	node interface{ TellStore(id string) }
	old  *migration // nil: there is nothing to be taken over
}

func (r *replicas) up(server string) {
	if r != nil {
		r.ServerUp(server)
	}
}

func (r *replicas) down(server string) {
	if r != nil {
		r.ServerDown(server)
	}
}

// endingIfLost has operations fail soon when no majority of the records can take changes: what the other servers have been stopped
// with does not come back.
func (s *Server) endingIfLost() {
	if s.replicas != nil && s.replicas.Store != nil && s.risk().Lost > 0 {
		s.replicas.Ending()
	}
}

// cluster is the UUID of the cluster whose records these are.
func (r *replicas) cluster() string {
	if r == nil {
		return ""
	}
	return r.Cluster()
}

// lost reports whether the records of an account could not be had a moment ago.
func (r *replicas) lost(jid string) bool {
	name, _, _ := strings.Cut(jid, "@")
	return r != nil && r.Lost(name)
}

// names are the servers that have records, as far as is known.
func (r *replicas) names() (names []string) {
	for _, m := range r.Status().Members {
		names = append(names, m.Name)
	}
	return names
}

// tell tells the other servers which data this one has, so that it gets its share.
func (r *replicas) tell() {
	if r != nil {
		r.node.TellStore(r.ID())
	}
}

// openReplicas opens this server's share of the cluster's records.
func (s *Server) openReplicas() (err error) {
	c, r := &s.cfg.Cluster, s.replicas
	if r.old, err = s.olderRecords(); err != nil {
		return err
	}
	opt := replicated.Options{
		Dir: filepath.Join(s.cfg.Data, clusterDir), Domain: s.cfg.Domain, Name: s.cluster.Self().Name, Zone: c.Zone,
		Transport: carrier.New(s.cluster.Mesh()), Membership: membership{s}, Takers: s.takers, Logger: s.log,
		Urgent: byte(carrier.Urgent), Bulk: byte(carrier.Bulk), Segment: logSegment, Follows: !c.founds(), Full: s.recordsFull, Gone: s.recordsGone,
	}
	if c.founds() {
		opt.Found, opt.Founded = s.mayFound(), s.cluster.Reconnect
	}
	if r.old != nil {
		opt.Import = &replicated.Import{Secret: r.old.disk.Secret(), Run: r.old.run}
	}
	if s.faults.replicas != nil {
		s.faults.replicas(&opt)
	}
	if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return errors.Join(fmt.Errorf("make data directory: %w", err), r.old.close())
	}
	if r.Store, err = replicated.Open(opt); err != nil {
		return errors.Join(err, r.old.close())
	}
	r.node = s.cluster
	s.records, s.broken, s.health = r.Store, r.Failed(), s.recordsHealth
	s.registerRecords(r.Store)
	s.closeRecords = func() error { return errors.Join(r.Close(), r.old.close()) }
	s.store = account.NewStore(s.records)
	if r.old == nil {
		r.tell()
	}
	return nil
}

// recordsFull hears that the disk of the records is full, or has room again, and tells the others: what it
// can't take a majority of the others has to.
func (s *Server) recordsFull(full bool) {
	s.full.Store(full)
	s.tellDisk()
}

// recordsGone hears that files of the records were removed, or are back, and tells the others: they must not count on what ends with
// this process.
func (s *Server) recordsGone(gone bool) {
	s.gone.Store(gone)
	s.tellDisk()
}

func (s *Server) tellDisk() {
	if s.faults.fullAlone {
		return
	}
	s.wg.Go(func() { // it waits for the gossip
		s.telling.Lock()
		defer s.telling.Unlock()
		s.cluster.TellDisk(s.full.Load(), s.gone.Load())
	})
}

// registerRecords makes metrics of the state of the cluster's records, as this server sees it.
func (s *Server) registerRecords(r *replicated.Store) {
	gauge := func(name, help string, f func() int) {
		s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "xmppd", Subsystem: "cluster", Name: name, Help: help,
		}, func() float64 { return float64(f()) }))
	}
	risk := s.risk
	if s.faults.reached {
		risk = func() replicated.Risk { return r.Risk(s.reaches) }
	}
	gauge("records_copies", "Copies that each partition of the records should have; 0: not known yet.", func() int { return r.Status().Replicas })
	gauge("records_coming", "Copies of partitions that are still to be made.", func() int { return r.Status().Left })
	gauge("records_lacking", "Partitions of the records of which a copy is missing.", func() int { return risk().Lacking })
	gauge("records_lost", "Partitions of the records without a majority of copies that can take changes.", func() int { return risk().Lost })
	gauge("records_disk_full", "1: the disk of this server's records is full, so it can't take changes of them.", func() int {
		if s.full.Load() {
			return 1
		}
		return 0
	})
}

// founds reports whether the server may make a new cluster: it is told to, or knows of no other to join.
func (c *ClusterConfig) founds() bool { return c.Found || len(c.Join) == 0 }

// foundWait is how long a server that has found nobody with a ring waits for those of join that are not there: they may be
// starting, too, and a cluster that begins with all has nothing to move.
const foundWait = 3 * time.Second

// mayFound tells whether the server may make a new cluster by now.
func (s *Server) mayFound() func() bool {
	var since time.Time // one goroutine asks
	return func() bool {
		if !s.cluster.Settled() {
			return false
		}
		if since.IsZero() {
			since = time.Now()
		}
		return s.cluster.Complete() || time.Since(since) >= foundWait
	}
}

// membership tells the store which servers there are. Those that have proven no name have no part in it.
type membership struct{ s *Server }

// Servers implements replicated.Membership.
func (m membership) Servers() (list []replicated.Server) {
	self := m.s.cluster.Self().Name
	for _, x := range m.s.cluster.Members() {
		if x.Name == self || m.s.cluster.Mesh().Reaches(x.Name) {
			list = append(list, replicated.Server{Name: x.Name, Store: x.Store, Zone: x.Zone})
		}
	}
	return list
}

// tellWaits is how often a server that waits for its cluster says so at last; it does so after 1 and 5 s first.
const tellWaits = 10 * time.Second

// awaitRecords waits until the cluster's records can be read and changed.
func (s *Server) awaitRecords(ctx context.Context) error {
	if s.replicas == nil {
		return nil
	}
	wait := time.Second
	for told := false; ; told = true {
		round, stop := context.WithTimeout(ctx, wait)
		wait = min(4*wait, tellWaits)
		err := s.replicas.Ready(round)
		stop()
		switch {
		case err == nil:
			return s.recordsReady()
		case errors.Is(err, replicated.ErrLeft):
			return s.hasLeft()
		case errors.Is(err, replicated.ErrOwnData):
			return misconfigured(s.replicas.old.refuse(true))
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		s.tellWaiting(told)
	}
}

// tellWaiting says what the server waits for; again: it has said so before.
func (s *Server) tellWaiting(again bool) {
	names, unreached := s.replicas.names(), s.cluster.Unreached()
	s.log.Info("waiting for the cluster's records: clients are taken when a majority of the servers that have them is here",
		"connected", s.cluster.Mesh().Connected(), "founds", s.cfg.Cluster.founds(), "servers_with_records", names, "not_reached", unreached)
	switch {
	case !again || s.clueless || len(names) > 0:
	case !s.cfg.Cluster.founds():
		s.clueless = true
		s.log.Warn("this server has no records, may not found a cluster, and has found no server that has one: look after cluster.join and the servers there; " +
			"if this is the first server of a new cluster, start it with cluster.found = true")
	case len(unreached) > 0:
		s.clueless = true
		s.log.Warn("no cluster is founded while there are servers that can't be reached, since they may be of an older one: see why they are refused, or stop them", "servers", unreached)
	}
}

// tellFounder says that cluster.found has done its work.
func (s *Server) tellFounder() {
	if s.cfg.Cluster.Found && !s.replicas.Founded() {
		s.log.Warn("cluster.found = true has no effect, since the cluster is there: take it away; if this server loses its directory while it can't reach the others, it would found another cluster")
	}
}

// hasLeft is why a server that was removed does not start.
func (s *Server) hasLeft() error {
	return misconfigured(fmt.Errorf("%w: to join anew it needs an empty directory: move %s away", replicated.ErrLeft, filepath.Join(s.cfg.Data, clusterDir)))
}

// recordsReady ends what was done until the records were there.
func (s *Server) recordsReady() error {
	if errors.Is(s.replicas.Health(), replicated.ErrLeft) {
		return s.hasLeft()
	}
	if err := s.replicas.old.done(s.log); err != nil {
		return err
	}
	s.replicas.tell()
	s.tellFounder()
	return nil
}

// lostRecords hears why the records of this server can't be used any more.
func (s *Server) lostRecords(err error) {
	if errors.Is(err, replicated.ErrLeft) {
		s.log.Warn("this server has no part of the cluster's records any more; it works with those of the others until it is stopped")
		return
	}
	s.fail(err)
}
