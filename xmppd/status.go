package xmppd

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/cluster"
	links "github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// ClusterStatus is the cluster as one of its servers sees it.
type ClusterStatus struct {
	Servers []ClusterServer `json:"servers"`
	Records *ClusterRecords `json:"records,omitempty"` // nil: each server keeps its own
}

// ClusterServer is a server of the cluster as `xmppd cluster status` shows it.
type ClusterServer struct {
	Name      string         `json:"name"`
	Address   string         `json:"address,omitempty"`
	Zone      string         `json:"zone,omitempty"`
	State     string         `json:"state"` // joining, up, draining, drained; absent: it has records and is not there
	Sessions  int            `json:"sessions"`
	CPU       int            `json:"cpu_permille"`
	Self      bool           `json:"self,omitempty"`
	Connected bool           `json:"connected"`
	Reason    string         `json:"reason,omitempty"` // why it is not connected, as far as this server has found out
	Queue     int            `json:"queue_bytes"`
	Sent      uint64         `json:"sent_frames"`
	Batches   uint64         `json:"sent_batches"`
	Received  uint64         `json:"received_frames"`
	Resets    uint64         `json:"resets"`
	DiskFull  bool           `json:"disk_full,omitempty"` // it can't take changes of the records
	DataGone  bool           `json:"data_gone,omitempty"` // files of its records were removed: they end with its process
	Records   *ServerRecords `json:"records,omitempty"`   // nil: it has none
}

// ServerRecords is a server's share of the cluster's records.
type ServerRecords struct {
	Copies  int  `json:"copies"`            // partitions that it has a copy of
	Leads   int  `json:"leads"`             // of these; those whose leader the asked server knows
	Coming  int  `json:"coming"`            // copies that it has still to get
	Leaving bool `json:"leaving,omitempty"` // it gives up what it has
	// Lost: copies that it had with the data that it has lost; others make new ones.
	Lost int `json:"lost,omitempty"`
}

// ClusterRecords is the state of the cluster's records.
type ClusterRecords struct {
	Cluster    string   `json:"cluster"` // UUID; empty: this server has not seen the records yet
	Partitions int      `json:"partitions"`
	Copies     int      `json:"copies"`            // that each partition should have
	Lacking    int      `json:"lacking"`           // partitions of which a copy is missing
	Lost       int      `json:"lost"`              // partitions without a majority of their copies
	Moving     bool     `json:"moving"`            // copies go to other servers
	Moves      int      `json:"moves,omitempty"`   // how many, all in all
	Left       int      `json:"left,omitempty"`    // and how many are left
	Survives   bool     `json:"survives_one_more"` // whichever server is lost next, all partitions have a majority
	Needed     []string `json:"needed,omitempty"`  // servers of which none more may be lost
}

// absent is the state of a server that has records and is not there.
const absent = "absent"

// ErrNoCluster tells that the server is alone by configuration.
var ErrNoCluster = errors.New("this server is none of a cluster: its configuration has no cluster.listen")

// ClusterStatus tells of the servers of the cluster, sorted by name, and of what they keep: ErrNoCluster.
func (s *Server) ClusterStatus() (*ClusterStatus, error) {
	if s.cluster == nil {
		return nil, ErrNoCluster
	}
	byName := make(map[string]links.Status)
	for _, l := range s.cluster.Mesh().Status() {
		byName[l.Name] = l
	}
	out := new(ClusterStatus)
	for _, m := range s.cluster.Members() {
		l, self := byName[m.Name], m.Name == s.cluster.Self().Name
		out.Servers = append(out.Servers, ClusterServer{
			Name: m.Name, Address: m.Addr, Zone: m.Zone, State: string(m.State), Sessions: m.Load.Sessions, CPU: m.Load.CPU, Self: self,
			Connected: l.Connected || self, Reason: l.Reason, Queue: l.Queue, Sent: l.Frames, Batches: l.Batches, Received: l.Received, Resets: l.Resets, DiskFull: m.Full, DataGone: m.Gone,
		})
	}
	s.addRecords(out, byName)
	return out, nil
}

// addRecords adds what the servers keep together, and those that have a part of it and are not there.
func (s *Server) addRecords(out *ClusterStatus, byName map[string]links.Status) {
	if s.replicas == nil {
		return
	}
	st := s.replicas.Status()
	for _, m := range st.Members {
		i := slices.IndexFunc(out.Servers, func(x ClusterServer) bool { return x.Name == m.Name })
		if i < 0 {
			i = len(out.Servers)
			out.Servers = append(out.Servers, ClusterServer{Name: m.Name, State: absent, Resets: byName[m.Name].Resets})
		}
		x := &out.Servers[i]
		if x.Records == nil {
			x.Records = new(ServerRecords)
		}
		if m.Replaced {
			x.Records.Lost += m.Held
			continue
		}
		x.Records.Copies, x.Records.Leads, x.Records.Coming, x.Records.Leaving = m.Held, m.Led, m.Coming, m.Leaving
	}
	slices.SortFunc(out.Servers, func(a, b ClusterServer) int { return strings.Compare(a.Name, b.Name) })
	risk := s.risk()
	// Until it is ready a server may have lost what the others think that it has. Who is not connected has proven no name:
	// anybody with the gossip's key can say that he joins.
	ready := !slices.ContainsFunc(out.Servers, func(x ClusterServer) bool {
		return x.State == string(cluster.Joining) && (x.Connected || s.faults.anyJoining)
	})
	out.Records = &ClusterRecords{
		Cluster: st.Cluster, Partitions: st.Partitions, Copies: st.Replicas, Lacking: risk.Lacking, Lost: risk.Lost,
		Moving: st.Changing, Moves: st.Moves, Left: st.Left, Survives: ready && st.Partitions > 0 && risk.Lost == 0 && len(risk.Needed) == 0, Needed: risk.Needed,
	}
}

// known tells whether a server can be reached, and it is known what data it has.
func (s *Server) known(name string) bool {
	return name == s.cluster.Self().Name || s.cluster.Current(name)
}

// takers tells whether a server is known (see there), and can take changes: a copy on a full disk is there, and can't
// acknowledge one; one whose files are gone is there as long as its process.
func (s *Server) takers() func(name string) bool {
	frail := make(map[string]bool)
	for _, m := range s.cluster.Members() {
		frail[m.Name] = m.Full || m.Gone
	}
	return func(name string) bool { return s.known(name) && !frail[name] }
}

// risk is what it means for the records that servers are not there (their copies are lacking), or can't take changes (partitions are
// lost without a majority of those that can). Whatever tells of it has it from here.
func (s *Server) risk() replicated.Risk {
	risk, writable := s.replicas.Risk(s.known), s.replicas.Risk(s.takers())
	risk.Lost, risk.Needed = writable.Lost, writable.Needed
	return risk
}

// reaches tells whether a server of the cluster can be reached; this one always.
func (s *Server) reaches(name string) bool {
	return name == s.cluster.Self().Name || s.cluster.Mesh().Reaches(name)
}

// AskClusterStatus asks the running server of a data directory for ClusterStatus.
func AskClusterStatus(ctx context.Context, data string) (*ClusterStatus, error) {
	r := newRemoteUsers(filepath.Join(data, adminSocket))
	st := new(ClusterStatus)
	err := r.call(ctx, http.MethodGet, "/cluster", nil, st)
	return st, errors.Join(err, r.Close())
}
