package handover

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Sessions are those of this server. Methods that may wait are called by goroutines of this package; the others
// must not. They are safe for concurrent use.
type Sessions interface {
	// Find returns an account's session by the name that its client knows; nil: it is not here.
	Find(user stanza.JID, id string) *session.Session
	// State describes a session that is claimed.
	State(*session.Session) *session.State
	// Adopt makes a session of a State, which nobody can find yet.
	Adopt(*session.State) (*session.Session, error)
	// Abandon forgets what Adopt has made.
	Abandon(*session.Session)
	// List makes it one of this server's: others can find it, and its client resume it. kept are the stanzas that
	// it brings.
	List(s *session.Session, st *session.State, kept [][]byte)
	// Listed waits until other servers can find a session that was listed.
	Listed(context.Context, *session.Session)
	// Available tells modules that something may wait for it. It may wait.
	Available(context.Context, *session.Session)
	// Gone forgets a session that a server has got (after Outbox.Settle). It may wait.
	Gone(s *session.Session, id, server string)
	// Stays takes note that a session that was described stays here.
	Stays(*session.Session)
	// GiveUp ends a session that may be at another server or not. It may wait.
	GiveUp(*session.Session)
	// Put gives a stanza to a session here. It reports false if there is none.
	Put(full string, raw []byte) bool
	// Late finds another way for a stanza that a session was given; doubt: it may have got it.
	Late(full string, raw []byte, doubt bool)
}

// Faults are bugs that tests plant, to see that a test would notice them.
type Faults struct {
	ForgetUnacked bool // what the client has not acknowledged stays behind
	KeepBoth      bool // the giver keeps the session, too
	LoseLater     bool // what comes for the session during its handover is lost
	NeverBack     bool // a session whose handover was cut off stays nowhere
	// Cut is called before a frame of a kind is sent; true: it is not, as if the link had broken.
	Cut func(kind byte) bool
}

// Config is what a Handover needs.
type Config struct {
	Self     string
	Mesh     *link.Mesh
	Sessions Sessions
	// Locate returns the servers that have sessions of an account; again: what it said before was wrong.
	Locate func(ctx context.Context, account string, again bool) []string
	Log    *slog.Logger
	Faults Faults
}

// Handover is a server's part. It is safe for concurrent use. Up and Down have to be called by the mesh.
type Handover struct {
	cfg    Config
	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // of its goroutines
	cancel context.CancelFunc
	wg     sync.WaitGroup
	counts Counters

	mu      sync.Mutex
	closed  bool
	numbers uint64
	fetches map[key]chan none // questions under way
	takes   map[key]*take
	gives   map[key]*give
	giving  map[*session.Session]*give
}

// key names a handover by the other server.
type key struct {
	server string
	number uint64
}

// Counters count handovers.
type Counters struct{ In, Out, Failed atomic.Uint64 }

// New makes it, and sets its channel of the mesh, which must not run yet.
func New(cfg Config) *Handover {
	h := &Handover{
		cfg: cfg, log: cfg.Log, fetches: make(map[key]chan none), takes: make(map[key]*take),
		gives: make(map[key]*give), giving: make(map[*session.Session]*give),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	cfg.Mesh.Handle(Channel, link.Handler{Name: "handover", Receive: h.receive, Undelivered: h.undelivered})
	return h
}

// Counts returns the counters.
func (h *Handover) Counts() *Counters { return &h.counts }

// Close takes back what is only offered, and waits for the rest.
func (h *Handover) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.wg.Wait()
}

// run runs f on a goroutine that Close waits for. It reports false when that has begun.
func (h *Handover) run(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.wg.Go(f)
	return true
}

func (h *Handover) number() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.numbers++
	return h.numbers
}

// send sends a frame.
func (h *Handover) send(to string, frame []byte) error {
	if cut := h.cfg.Faults.Cut; cut != nil && cut(frame[0]) {
		return link.ErrDown
	}
	return h.cfg.Mesh.Send(to, Channel, frame) //nolint:wrapcheck // its sentinels are known here
}

// tell sends a frame of which nothing depends on whether it comes: a link that breaks ends the handover, too.
func (h *Handover) tell(to string, k kind, number uint64) {
	if err := h.send(to, head(k, number)); err != nil {
		h.log.Debug("word of a handover not sent", "server", to, "kind", k, "error", err)
	}
}

// receive takes a frame of another server.
func (h *Handover) receive(from string, frame []byte) {
	k, number, rest, err := cutHead(frame)
	if err == nil {
		switch k {
		case kindWant, kindReady, kindRefused, kindDone:
			err = h.asGiver(key{from, number}, k, rest)
		case kindNone, kindState, kindStanzas, kindOffer, kindCommit, kindCancel, kindHanded, kindLeft:
			err = h.asTaker(key{from, number}, k, rest)
		}
	}
	if err != nil {
		h.log.Error("handover: frame can't be read", "server", from, "error", err)
	}
}

// limbo is how long it may stay open whether a server that is cut off has got "commit": longer than a link
// needs to tell that it is in doubt.
const limbo = 15 * time.Second
