package replicated

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Errors, beside those of package store; test with errors.Is.
var (
	// ErrUnavailable: no majority of an owner's replicas could be reached in time. Nothing
	// was changed; another try makes sense.
	ErrUnavailable = errors.New("too few servers of the cluster can be reached")
	// ErrContended: other servers changed the same owner's records again and again, and it was never this one's turn in
	// time. Nothing was changed; another try makes sense.
	ErrContended = errors.New("other servers change the same records all the time")
	// ErrTooMuch: the changes of an Update are more than MaxUpdate. Nothing was changed.
	ErrTooMuch = errors.New("too much is changed at once")
	// ErrLeft: the servers have agreed that this one is none of them any more. Its data
	// directory is of no use; with an empty one it is a new server.
	ErrLeft = errors.New("this server has left the cluster: stop it, so that its clients go to the others; to have it back, empty its cluster directory and start it again")
	// ErrOwnData: the cluster has its data, and Options.Import is other data. Nothing was changed.
	ErrOwnData = errors.New("the cluster has data already")
	// ErrNoMember: no server of that name has a part of the data.
	ErrNoMember = errors.New("no server of that name has a part of the data")
	// ErrLast: the server is the only one that has the data.
	ErrLast = errors.New("it is the only server that has the data")
	// ErrNeeded: without the server a part of the data would have no majority of its copies.
	ErrNeeded = errors.New("the server is needed")
)

// Limits, in bytes unless said otherwise.
const (
	// MaxPayload is the largest payload that a Transport has to carry.
	MaxPayload = 1 << 20
	// MaxUpdate is how much one Update may change: keys, values and what they are
	// stored with.
	MaxUpdate = 96 << 20

	// What is written as one entry of a log: larger updates go in stages.
	maxEntry     = 512 << 10
	maxMutations = 1000 // count
	maxStages    = 900  // count: all of them are deleted in one entry
)

// Transport carries payloads between servers, which it names. The store survives loss,
// duplication and reordering; it is fastest where they are rare. What it says about the sender of
// a payload must be proven, for instance by a certificate: servers believe one another.
type Transport interface {
	// Send hands over a payload of up to MaxPayload for a server. It never blocks and
	// may drop. The payload belongs to the transport from then on.
	Send(to string, channel byte, payload []byte)
	// Handle says who takes what comes on a channel from now on; nil: nobody. It takes in
	// the reading goroutine, must not block, and owns the payload.
	Handle(channel byte, take func(from string, payload []byte))
}

// Server is a server of the cluster as Membership knows it.
type Server struct {
	Name  string // as of Transport; without "/"
	Store string // UUID of its data, which is Store.ID there; "" if it is not known
	Zone  string // servers of one zone may fail together; "": it is one of its own
	// Leaving: an operator has asked for it to be drained or removed. It stays so until
	// the server has left and, to come back, has other data.
	Leaving bool
}

// Membership says which servers there are. It is a hint that decides about joining and
// leaving, never about what is acknowledged.
type Membership interface {
	// Servers lists the servers that are up, this one included or not, and those that
	// are to leave, up or not. Who is silent is not listed, and stays a member.
	Servers() []Server
}

// Options say how a Store runs.
type Options struct {
	Dir        string // data directory of this server, for nothing else
	Domain     string // what the data is for
	Name       string // of this server, as of Transport
	Zone       string
	Transport  Transport
	Membership Membership
	// Takers tells which servers can be reached now and can take changes; nil: all can. It is asked before a server
	// may leave, and must not block.
	Takers func() func(name string) bool
	Logger *slog.Logger // nil: discard

	// Found tells whether this server may make a new cluster by now, which it does if its directory is new
	// and no server that Membership lists has a ring to join; nil: never. It must not block. The cluster is of all
	// that are listed by then and answer, so it is worth waiting a moment for those that start at the same time. Of several
	// servers that may, the one whose name comes first does.
	Found func() bool
	// Founded is called when it has done so; nil: nobody wants to know.
	Founded func()
	// Follows leaves it to others to say what the cluster's data is: Ready waits for that.
	Follows bool
	// Import is what a new cluster begins with; nil: with nothing. No server is Ready before it is
	// there. If this server stops meanwhile the next Open has to give the same again.
	Import *Import
	// Partitions of a new cluster; 0 is 64. Their number is fixed when it is founded.
	Partitions int

	// Urgent and Bulk are the channels used. What goes over Bulk (copies of replicas)
	// should not delay what goes over Urgent.
	Urgent, Bulk byte

	// Patience is how long an operation waits for a majority before it fails; 0 is 10 s.
	Patience time.Duration
	// Tick and FlushEvery are as of replication.Config.
	Tick, FlushEvery time.Duration
	// DiskReserve is as of replication.Config.
	DiskReserve uint64
	// Full is told that the disk has no room for changes any more (true), or has some again; nil: nobody
	// wants to know. It must not block. The other servers' copies go on meanwhile.
	Full func(bool)
	// Gone is told that files of Dir were removed or replaced (true), or are back; nil: nobody wants to know. It must not
	// block. Until it stops the server goes on with the files that it has open.
	Gone func(bool)
	// Segment is the size of the log's files in bytes, a few of which are made before they are
	// needed; 0 is wal.DefaultSegmentSize.
	Segment int64

	faults faults
}

// Import is data that is older than the cluster.
type Import struct {
	Secret []byte // of the data, 32 bytes; it becomes the cluster's
	// Run writes the data. It may be run again, from the beginning, and nobody else writes meanwhile.
	Run func(ctx context.Context, s store.Store) error
}

// faults are bugs that tests plant.
type faults struct {
	ackEarly      bool // an update is answered when it has been handed over
	newSequence   bool // each try of a write has a sequence of its own
	unconditional bool // a write does not say what it rests on
	unconfirmed   bool // a view shows what is here, however old
	halfStaged    bool // a reader does not carry out what is decided
	rejoin        bool // a server that has left may join with its old data
	hastyImport   bool // the cluster's data is said to be there before it is
	hastyStages   bool // a large update is carried out batch by batch, before it is decided
	rivals        bool // who may make a cluster does not mind who else may
	blindLeave    bool // a server may leave though others are missing
	anyData       bool // a server that is back without its data counts as if it had it
	joinsOnce     bool // a server whose joining was called off holds that it has left
	lostRace      bool // who loses against other servers again and again takes the group for lost
	joinsFirst    bool // who is to leave does so after those who join, each time
	eachInFull    bool // each group that can't be reached is waited for in full
	forgets       bool // who leads those that decide while a change is called off forgets who is to leave
	clings        bool // who is to leave is remembered though its removal was refused, or another server leads by now

	// No bug: a server that stops during a large update, before it is decided or afterwards.
	stopStaging, stopDecided bool
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Partitions == 0 {
		o.Partitions = 64
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Bulk == o.Urgent {
		o.Bulk = o.Urgent + 1
	}
}
