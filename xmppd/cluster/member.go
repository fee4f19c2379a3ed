package cluster

import (
	"encoding/json"
	"fmt"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// State is what a server is about to do.
type State string

// States.
const (
	Joining  State = "joining"  // it has begun, and takes no clients yet
	Up       State = "up"       // it serves clients
	Draining State = "draining" // its clients are asked to go elsewhere
	Drained  State = "drained"  // they have: it may be stopped
)

// Load is how much a server has to do.
type Load struct {
	Sessions int `json:"n,omitempty"`
	CPU      int `json:"c,omitempty"` // per mille of what it may use
}

// Member is a server of the cluster.
type Member struct {
	Name        string
	Addr        string // host:port, of its port
	Incarnation uint64 // of its process
	Major       int    // of the protocol of links
	Zone        string // may be empty
	Store       string // UUID of its data; empty: it has no part of the cluster's data, and wants none
	State       State
	Load        Load
	Full        bool // its disk has no room for changes of the cluster's data
	Gone        bool // files of its data were removed: what it has of it ends with its process
}

// meta is what gossip carries of a member, 512 bytes at most.
type meta struct {
	Incarnation uint64 `json:"i"`
	Major       int    `json:"v"`
	Zone        string `json:"z,omitempty"`
	Store       string `json:"d,omitempty"`
	State       State  `json:"s"`
	Load        Load   `json:"l"`
	Full        bool   `json:"f,omitempty"`
	Gone        bool   `json:"g,omitempty"`
}

func (m *Member) encode() ([]byte, error) {
	b, err := json.Marshal(meta{m.Incarnation, link.Major, m.Zone, m.Store, m.State, m.Load, m.Full, m.Gone})
	if err != nil {
		return nil, fmt.Errorf("encode member: %w", err)
	}
	return b, nil
}

// decode reads what gossip says of a member. What this version does not know is ignored.
func (m *Member) decode(b []byte) error {
	var x meta
	if err := json.Unmarshal(b, &x); err != nil {
		return fmt.Errorf("member %s: %w", m.Name, err)
	}
	m.Incarnation, m.Major, m.Zone, m.Store, m.State, m.Load, m.Full, m.Gone = x.Incarnation, x.Major, x.Zone, x.Store, x.State, x.Load, x.Full, x.Gone
	return nil
}
