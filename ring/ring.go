// Package ring holds the ring document and the placement of partitions as pure
// values: who is a member, which replicas each partition has, and how a new
// table is made from an old one. It does no I/O.
package ring

// MetaPartition is the Raft group that holds the ring document. It is no
// partition of the key space.
const MetaPartition uint32 = 0xFFFF_FFFF

// DefaultPartitions is the number of partitions of a new cluster. It is fixed
// when the cluster is made.
const DefaultPartitions = 271

// DefaultReplicas is the number of copies of each partition.
const DefaultReplicas = 3

// MemberState is what the cluster wants of a member.
type MemberState string

// The states of a member.
const (
	Active  MemberState = "active" // holds replicas
	Joining MemberState = "joining"
	Leaving MemberState = "leaving"
)

// Member is one data node. ID is never reused: a wiped disk is a new member
// with a new Store, never the old one.
type Member struct {
	ID     uint64      `json:"id"`    // the Raft node id, from 1
	JID    string      `json:"jid"`   // full JID, as of RFC 6120 section 1.4
	Store  string      `json:"store"` // UUID written in the data directory when it was made
	Zone   string      `json:"zone,omitempty"`
	Weight int         `json:"weight,omitempty"` // 0 means 1
	State  MemberState `json:"state"`
}

// Document is the ring: members, the explicit table and the running change.
// Epoch grows by one with every change of it. A Document is a value: treat it
// as immutable once published.
type Document struct {
	Version    int        `json:"version"` // of the format; FormatVersion
	Cluster    string     `json:"cluster"` // UUID of the cluster
	Epoch      uint64     `json:"epoch"`   // from 1
	Partitions int        `json:"partitions"`
	Replicas   int        `json:"replicas"`
	Members    []Member   `json:"members"`           // by ID, ascending
	Meta       []uint64   `json:"meta"`              // member ids of the meta group, 1, 3 or 5 of them
	Table      [][]uint64 `json:"table"`             // partition -> member ids; the first is the preferred leader
	LastID     uint64     `json:"last_id,omitempty"` // the highest member id ever given; 0: that of Members
	Change     *Change    `json:"change,omitempty"`
	Indexes    []Index    `json:"indexes,omitempty"`
	Access     []Grant    `json:"access,omitempty"`
}

// Change is a running change of the table; it survives any crash because it is
// part of the document.
type Change struct {
	ID     string     `json:"id"`
	Target [][]uint64 `json:"target"` // the table to reach in this round
	Meta   []uint64   `json:"meta"`   // the meta group to reach
	Since  uint64     `json:"since"`  // epoch of the document that set Target
	Rounds int        `json:"rounds"` // rounds that follow this one
	Paused bool       `json:"paused,omitempty"`
	// Canceled: Target is the table; groups stop where they are, then the change ends.
	Canceled bool  `json:"canceled,omitempty"`
	Rate     int64 `json:"rate,omitempty"` // bytes a second that each node may send for it; 0: the node's default
	Moves    int   `json:"moves"`          // replicas that the whole change adds
	Begun    int64 `json:"begun"`          // milliseconds since 1970
}

// Index is a secondary index over one field of JSON objects.
type Index struct {
	Name   string `json:"name"`
	ID     uint32 `json:"id"`             // never used twice
	Prefix string `json:"prefix"`         // of the roots' names
	Path   string `json:"path,omitempty"` // of the objects within a root, exact; "" is the root object, "*" any
	Field  string `json:"field"`          // names of members, joined by dots
}

// Grant lets an account use the roots whose names begin with a prefix.
type Grant struct {
	Account string `json:"account"` // bare JID, or @domain for all of a domain
	Prefix  string `json:"prefix"`  // "" is all roots
	Write   bool   `json:"write,omitempty"`
}

// Report is what the leader of a group tells of its configuration.
type Report struct {
	Voters   []uint64
	Learners []uint64
	Joint    bool   // a joint configuration (Raft, section 6) is in force
	Term     uint64 // of the leader
	Index    uint64 // applied when it was made
	Epoch    uint64 // of the document that the leader works by; see Advance
}

// FormatVersion is the version of the document's format.
const FormatVersion = 2
