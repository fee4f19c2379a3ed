// Package adminxml is the codec of the administration IQs between ringctl and a
// data node (docs/protocol.md, "Administration"), shared by both sides.
//
// Each command is one element in the namespace urn:rosterdb:admin:1, named for
// the command, with its argument as text; the answer is an element of the same
// name with JSON as text.
package adminxml

import (
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/internal/wire"
)

// NS is the namespace of the administration IQs.
const NS = wire.NSAdmin

// The commands.
const (
	CmdIdentity  = "identity"  // get: an Identity
	CmdBootstrap = "bootstrap" // set, with an encoded ring document: an Identity
	CmdStatus    = "status"    // get, optionally with "groups", "leaders" or "indexes": a NodeStatus
	CmdExport    = "export"    // get, with an ExportRequest: an ExportAnswer
	CmdHot       = "hot"       // get, with the number of objects wanted: a Hot
	CmdWhere     = "where"     // get, with the name of a root: a Where
	CmdScrub     = "scrub"     // set: compare groups; get: only tell; groups as decimal numbers with blanks between; a Scrub
	CmdPropose   = "propose"   // set, with an encoded ring document: a Proposed
)

// WithGroups is the argument of CmdStatus that asks for every group.
const WithGroups = "groups"

// WithLeaders is the argument of CmdStatus that asks for the leaders that the
// node knows: much less than every group in full.
const WithLeaders = "leaders"

// WithIndexes is the argument of CmdStatus that asks in how many partitions indexes
// are ready.
const WithIndexes = "indexes"

// Identity is who a data node is.
type Identity struct {
	JID     string `json:"jid"`               // full JID as bound
	Store   string `json:"store"`             // UUID of the data directory
	Cluster string `json:"cluster,omitempty"` // UUID; empty while in none
	Member  uint64 `json:"member,omitempty"`  // Raft node id; 0 while in none
	Epoch   uint64 `json:"epoch,omitempty"`   // of the newest ring document known; 0: none
	Format  int    `json:"format"`            // of the ring documents it reads
	Zone    string `json:"zone,omitempty"`
	State   string `json:"state"`   // as in presence: ok, full, joining, stranger, stopping
	Version string `json:"version"` // of the program
}

// NodeStatus is a data node in detail.
type NodeStatus struct {
	Identity
	Held       int     `json:"held"` // partitions with a replica here
	Led        int     `json:"led"`  // of these, led from here
	Leaderless int     `json:"leaderless"`
	Awake      int     `json:"awake"`      // held groups that tick
	Lag        uint64  `json:"lag"`        // entries committed and not yet applied here
	Full       bool    `json:"full"`       // refuses writes for want of space
	DiskUsed   uint64  `json:"disk_used"`  // bytes in the data directory
	StateUsed  uint64  `json:"state_used"` // bytes that the objects take
	DiskFree   uint64  `json:"disk_free"`  // bytes free on its file system
	Reserve    uint64  `json:"reserve"`    // bytes that are kept free
	Clients    int     `json:"clients"`    // that have written or read lately
	InFlight   int64   `json:"in_flight"`  // operations not answered yet
	Load       float64 `json:"load"`       // operations a second lately
	Operations uint64  `json:"operations"` // since the start
	UptimeMS   int64   `json:"uptime_ms"`
	Time       int64   `json:"time"`  // log time, milliseconds since 1970
	Clock      int64   `json:"clock"` // the machine's, likewise; 0: not told
	Groups     []Group `json:"groups,omitempty"`
	// Leaders are {group, member that leads it or 0, term} of the groups held.
	Leaders [][3]uint64 `json:"leaders,omitempty"`
	// Behind are, with Leaders, the replicas of groups led here that lack entries.
	Behind []Behind `json:"behind,omitempty"`
	// Moving are, with Leaders, groups led here that do not have the replicas yet
	// that the ring wants; MaxMoving of them at most.
	Moving []Moving `json:"moving,omitempty"`
	// Indexes counts, where asked for, the partitions led here in which an index can be
	// queried, by the number of the index.
	Indexes map[uint32]int `json:"indexes,omitempty"`
}

// Scrub tells of the comparisons of replicas on a data node; counts are since its start.
type Scrub struct {
	Begun      int    `json:"begun,omitempty"`   // comparisons that this request began
	LastMS     int64  `json:"last_ms,omitempty"` // when replicas were last compared, milliseconds since 1970
	Compared   uint64 `json:"compared"`          // groups led here whose replicas were compared
	Mismatches uint64 `json:"mismatches"`        // replicas that differed from the majority
	Undecided  uint64 `json:"undecided"`         // comparisons without a majority
	Damaged    uint64 `json:"damaged"`           // states here that were found damaged
	Repaired   uint64 `json:"repaired"`          // of these, replaced by that of another replica

	Results []Scrubbed `json:"results,omitempty"` // of the groups asked for
	Reading []uint32   `json:"reading,omitempty"` // groups whose state is being read here, or waits for it
	Mending []uint32   `json:"mending,omitempty"` // groups whose replica here is damaged, until it has the state of another
}

// MaxScrub bounds the groups in one question about scrubs.
const MaxScrub = 16

// Scrubbed is what the last scrub of a group has told so far, on its leader.
type Scrubbed struct {
	Group     uint32   `json:"group"`
	Index     uint64   `json:"index"`               // of the log, at which the states were read
	Voters    int      `json:"voters"`              // replicas that vote
	Told      int      `json:"told"`                // of these, have told a digest
	Wrong     []uint64 `json:"wrong,omitempty"`     // members whose digest is not that of the majority
	Undecided bool     `json:"undecided,omitempty"` // there is no majority
}

// MaxMoving bounds NodeStatus.Moving: an answer has to fit into a stanza.
const MaxMoving = 256

// Behind is how far a member's replicas are behind their leaders on one node.
type Behind struct {
	Member  uint64 `json:"member"`
	Groups  int    `json:"groups"`  // in which it lacks something
	Entries uint64 `json:"entries"` // it lacks, all groups
}

// Moving is a group on its way to other replicas.
type Moving struct {
	Group    uint32   `json:"group"`
	Waits    string   `json:"waits,omitempty"` // for what
	Learners []uint64 `json:"learners,omitempty"`
	Joint    bool     `json:"joint,omitempty"`
	Copied   int64    `json:"copied,omitempty"` // bytes of the snapshot sent to the learner
}

// Group is one Raft group as its replica on the node sees it.
type Group struct {
	Group    uint32            `json:"group"` // partition, or 4294967295 for the ring's own
	Leader   uint64            `json:"leader,omitempty"`
	Term     uint64            `json:"term"`
	Commit   uint64            `json:"commit"`
	Applied  uint64            `json:"applied"`
	Last     uint64            `json:"last"`
	Asleep   bool              `json:"asleep,omitempty"`
	Replicas []uint64          `json:"replicas"`
	Voters   []uint64          `json:"voters"`
	Learners []uint64          `json:"learners,omitempty"`
	Match    map[uint64]uint64 `json:"match,omitempty"`
}

// Where is where a root lives. JIDs are full.
type Where struct {
	Partition uint32   `json:"partition"`
	Leader    string   `json:"leader,omitempty"` // empty: none known
	Replicas  []string `json:"replicas"`         // the preferred leader first
	Epoch     uint64   `json:"epoch"`
}

// Hot are the objects that were read and written most through a node lately.
type Hot struct {
	Reads  []HotKey `json:"reads"`
	Writes []HotKey `json:"writes"`
}

// HotKey is a hot object. Its rate is between Least and Rate.
type HotKey struct {
	Root  string  `json:"root"`
	Path  string  `json:"path,omitempty"`
	Rate  float64 `json:"rate"`  // operations a second
	Least float64 `json:"least"` // operations a second that were certainly of this object
}

// Proposed is what became of a ring document that was to follow the one of the
// epoch before.
type Proposed struct {
	Outcome string `json:"outcome"`          // one of the Outcome constants
	Epoch   uint64 `json:"epoch"`            // of the ring as the node knows it now
	Leader  string `json:"leader,omitempty"` // full JID of whom to ask instead
	Text    string `json:"text,omitempty"`   // why not, for people
}

// Outcomes of a proposal.
const (
	OutcomeOK          = "ok"          // it is the ring now, on a majority of disks
	OutcomeConflict    = "conflict"    // the ring has changed; surely not taken over
	OutcomeInvalid     = "invalid"     // never acceptable; surely not taken over
	OutcomeUnavailable = "unavailable" // surely not taken over; ask the leader, or again
	OutcomeUnknown     = "unknown"     // leadership was lost under way; look at the ring
)

// Append appends the element of a command or of its answer.
func Append(dst []byte, command, text string) []byte {
	dst = append(dst, '<')
	dst = append(dst, command...)
	dst = stanza.AppendAttr(dst, "xmlns", NS)
	if text == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = stanza.AppendEscaped(dst, text)
	dst = append(dst, "</"...)
	dst = append(dst, command...)
	return append(dst, '>')
}

var errNotAdmin = errors.New("no administration element")

// Parse reads what Append wrote.
func Parse(el []byte) (command, text string, err error) {
	p := stanza.Parse(el)
	if p.Next() != stanza.Start || string(p.NS()) != NS {
		return "", "", errNotAdmin
	}
	command = string(p.Name())
	text, err = content(&p)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", command, err)
	}
	return command, text, nil
}

// content is the text of the element just started, which has no children.
func content(p *stanza.Parser) (string, error) {
	var text []byte
	for {
		switch p.Next() {
		case stanza.Text:
			text = append(text, p.Text()...)
		case stanza.Start:
			return "", fmt.Errorf("unexpected child <%s/>", p.Name())
		case stanza.End, stanza.EOF:
			return string(text), nil
		}
	}
}
