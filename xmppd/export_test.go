package xmppd

import (
	"context"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/cluster/balance"
	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
	"github.com/rosterdb/rosterdb/xmppd/cluster/exchange"
	"github.com/rosterdb/rosterdb/xmppd/cluster/handover"
	links "github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/modules/offline"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// StartFaulty starts a server with planted bugs.
func StartFaulty(ctx context.Context, cfg Config, opt Options, r router.Faults, i im.Faults, c c2s.Faults) (*Server, error) {
	return start(ctx, cfg, opt, faults{router: r, im: i, c2s: c})
}

// Together is what the servers of a test's cluster have of their own.
type Together struct {
	LookEvery time.Duration // for certificates that end; 0: a day

	Exchange exchange.Faults
	IM       im.Faults
	Handover handover.Faults
	Links    links.Config
	Cache    int                    // of accounts; negative: none
	Cut      func(addr string) bool // a broken network
	Records  store.Store            // what all have together; nil: each has replicas
	Replicas func(*replicated.Options)
	Migrate  func(records int64) error // the server crashes while it takes over what it had
	Balance  balance.Faults
	Acks     session.AckFaults
	// CountHere: sessions on other servers do not count for sessions_per_account.
	CountHere  bool
	Ahead      AheadFaults
	Hasty      bool // a server that is drained or stops does not mind what waits in it
	Deaf       bool // other servers' answers are not heard
	FullAlone  bool // the others are not told of a full disk, or of files that are gone
	AnyJoining bool // who has proven no name counts among those that join
	OneProcess bool // a claim of a server's last process is taken for one of this process
	Reached    bool // metrics of the records count whoever can be reached
	Unlinked   bool // healthz does not ask links
}

// StartTogether starts a server of a cluster.
func StartTogether(ctx context.Context, cfg Config, opt Options, x Together) (*Server, error) {
	return start(ctx, cfg, opt, faults{
		lookEvery: x.LookEvery,

		exchange: x.Exchange, im: x.IM, handover: x.Handover, links: x.Links, cache: x.Cache, cut: x.Cut, records: x.Records, balance: x.Balance, acks: x.Acks,
		ahead: x.Ahead, replicas: x.Replicas, migrate: x.Migrate, countHere: x.CountHere, hasty: x.Hasty, deaf: x.Deaf, fullAlone: x.FullAlone, anyJoining: x.AnyJoining, reached: x.Reached, unlinked: x.Unlinked, oneProcess: x.OneProcess,
	})
}

// ClusterOf is the configuration of a server of a cluster on loopback.
func ClusterOf(t *testing.T, ca *clustertest.Authority, name string, join ...string) ClusterConfig {
	t.Helper()
	return clusterOf(t, ca, name, join...)
}

// Leave has the server take no more clients.
func (s *Server) Leave() { s.drain() }

// DiskFull tells whether the server has found the disk of its records full.
func (s *Server) DiskFull() bool { return s.full.Load() }

// Replicas are the server's records in a cluster.
func (s *Server) Replicas() *replicated.Store { return s.replicas.Store }

// Refresh begins a pass over the accounts with sessions (refresher); Refreshed counts those that have ended.
func (s *Server) Refresh()          { s.refresh.wake() }
func (s *Server) Refreshed() uint64 { return s.refresh.passes.Load() }

// ReadAhead reports whether all is remembered that is to be read ahead.
func (s *Server) ReadAhead() bool { return s.ahead.idle() }

// Node is the server's part in its cluster.
func (s *Server) Node() *cluster.Node { return s.cluster }

// Exchange is what carries its stanzas to the others.
func (s *Server) Exchange() *exchange.Exchange { return s.exchange }

// Handover moves sessions between the servers.
func (s *Server) Handover() *handover.Handover { return s.handover }

// Has reports whether the server has a session of an account, by the name that its client knows.
func (s *Server) Has(user, id string) bool {
	return s.sm.Find(stanza.JID{Local: user, Domain: s.cfg.Domain}, id) != nil
}

// Fate is what decides whether another server's claim of kept messages is void.
func (s *Server) Fate(server string, process uint64) offline.Fate { return s.fate(server, process) }

// LeaveServers is what Close begins with.
func (s *Server) LeaveServers() { s.drainer.leave() }

// PortalAddr is where the portal posts its events.
func (s *Server) PortalAddr() string { return s.addrOf(forPortal) }

// Count is the value of a counter or gauge without labels.
func (s *Server) Count(t *testing.T, name string) float64 {
	t.Helper()
	all, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// AheadFaults are bugs in what is read ahead.
type AheadFaults = aheadFaults
