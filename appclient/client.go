package appclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
)

// Client is a connection to a cluster. Safe for concurrent use.
type Client struct {
	cfg     Config
	engine  *engine
	streams [2]stream
	room    int // maxHeld, but in tests
	turns   turns

	iqs    xmppconn.IQs
	stale  chan struct{} // one token: a newer ring is wanted
	known  chan int      // the newest number of data nodes in the roster
	ready  chan struct{} // closed once the store can be used
	once   sync.Once     // closes ready
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	trouble error // what kept the client from being ready, for people
}

// Dial logs in, finds the data nodes, fetches the ring and returns when the
// store can be used. When ctx ends first the error says what was missing. What
// trying again cannot mend ends Dial at once, and an empty roster within seconds.
// Errors: ErrInvalid (the JID), ErrDenied (wrong password, or an account without any
// right), ErrReplaced, ErrUnavailable.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	return dial(ctx, cfg, faults{})
}

func dial(ctx context.Context, cfg Config, f faults) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("dial %q: %w", cfg.JID, err)
	}
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, stale: make(chan struct{}, 1), known: make(chan int, 1), ready: make(chan struct{}), room: maxHeld}
	busy := make(chan struct{}, 1)
	c.engine = newEngine(&cfg, c.wake, notifier(busy), notifier(c.stale))
	c.engine.faults = f

	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	ended := make(chan error, 2) // each says at most once why trying again is vain
	c.wg.Go(func() { ended <- c.run(life) })
	c.wg.Go(func() { c.engine.sweeper(life, busy) })
	c.wg.Go(func() { c.keepRing(life, ended) })

	if err := c.await(ctx, ended); err != nil {
		c.Close() //nolint:errcheck // never fails
		return nil, fmt.Errorf("dial %s: %w", cfg.JID, err)
	}
	return c, nil
}

// aloneFor is how long the roster may stay empty: contacts that are just being made
// come as pushes.
const aloneFor = 3 * time.Second

// await returns when the store can be used, or with why it cannot.
func (c *Client) await(ctx context.Context, ended <-chan error) error {
	var alone <-chan time.Time
	for {
		select {
		case <-c.ready:
			return nil
		case err := <-ended:
			return err
		case nodes := <-c.known:
			if alone = nil; nodes == 0 {
				alone = time.After(aloneFor)
			}
		case <-alone:
			return fmt.Errorf("%w: %s sees no data node, since its roster has none; put the account into the group of the applications, or let it and the data nodes subscribe to each other's presence",
				ErrUnavailable, c.cfg.JID)
		case <-ctx.Done():
			return c.notReady(context.Cause(ctx))
		}
	}
}

// notifier returns a function that leaves a token in ch if there is none.
func notifier(ch chan struct{}) func() {
	return func() {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// run keeps the streams up until life ends or the server refuses for good.
func (c *Client) run(life context.Context) error {
	stream := c.cfg.stream()
	stream.OnRetry = func(err error, _ time.Duration) { c.note(err) }
	err := xmppconn.RunPair(life, stream, c.cfg.Resource+"-2", c.handler(0, wire.MaxResponse), c.handler(1, wire.MaxResponse))
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(err, xmppconn.ErrAuth):
		err = fmt.Errorf("%w: %w", ErrDenied, err)
	case errors.Is(err, xmppconn.ErrReplaced):
		err = fmt.Errorf("%w: another client uses the resource of %s; leave Config.Resource empty, so that each gets its own, and dial anew (%w)", ErrReplaced, c.cfg.JID, err)
	default:
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c.engine.shut(err)
	return err
}

func (c *Client) note(err error) {
	c.mu.Lock()
	c.trouble = err
	c.mu.Unlock()
}

// notReady says what was missing when Dial's context ended.
func (c *Client) notReady(cause error) error {
	c.mu.Lock()
	trouble := c.trouble
	c.mu.Unlock()
	up := c.up()
	switch nodes := c.engine.ringSources(); {
	case !up && trouble != nil:
		return fmt.Errorf("%w: not logged in: %w (%w)", ErrUnavailable, trouble, cause)
	case !up:
		return fmt.Errorf("%w: not logged in to any of %s (%w)", ErrUnavailable, strings.Join(c.cfg.Addrs, ", "), cause)
	case len(nodes) == 0:
		return fmt.Errorf("%w: no data node in the roster of %s is available; is the account in a group with the data nodes, and do they run? (%w)", ErrUnavailable, c.cfg.JID, cause)
	case trouble != nil:
		return fmt.Errorf("%w: no ring from %s: %w (%w)", ErrUnavailable, strings.Join(nodes, ", "), trouble, cause)
	default:
		return fmt.Errorf("%w: no member of the ring is available (%w)", ErrUnavailable, cause)
	}
}

// wake asks the writers to collect what is to be sent.
func (c *Client) wake() {
	for i := range c.streams {
		if conn := c.streams[i].conn.Load(); conn != nil {
			conn.Flush()
		}
	}
}

// up says whether there is a stream.
func (c *Client) up() bool {
	return c.streams[0].conn.Load() != nil || c.streams[1].conn.Load() != nil
}

// Close ends the client and waits for its goroutines. Operations under way and
// later ones end with ErrClosed, but for writes that may have been applied: those
// end with ErrUnknownOutcome. It always returns nil.
func (c *Client) Close() error {
	c.engine.shut(ErrClosed)
	c.cancel()
	c.wg.Wait()
	return nil
}

// Root returns the root object of that name. It is not looked up.
func (c *Client) Root(name string) Root { return Root{c: c, name: name} }

// Resolve reads the object that ref points to. A dangling reference is
// ErrNotFound. Errors: as of Root.Get.
func (c *Client) Resolve(ctx context.Context, ref Ref) (*Object, error) {
	return c.Root(ref.Root).Get(ctx, ref.Path)
}

// Placement is where a root lives.
type Placement struct {
	Epoch     uint64
	Partition uint32
	Leader    string   // full JID that this client asks first
	Replicas  []string // full JIDs, the preferred leader first
}

// Where computes a root's placement from the ring that the client knows.
func (c *Client) Where(root string) Placement {
	e := c.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.parts[e.doc.Partition(root)]
	w := Placement{Epoch: e.doc.Epoch, Partition: p.id}
	for _, n := range p.replicas {
		w.Replicas = append(w.Replicas, n.jid)
	}
	if n := p.candidate(nil, e.now()); n != nil {
		w.Leader = n.jid
	}
	return w
}

// Stats counts what the client did since Dial.
type Stats struct {
	Epoch      uint64 // of the ring that the client knows
	Nodes      int    // data nodes available now
	Operations uint64
	Stanzas    uint64 // sent with operations
	Retries    uint64 // tries beyond the first
	Confirmed  uint64 // Gets that another replica confirmed, for the leader
	Merged     uint64 // increments that shared another one's write
	Unknown    uint64 // writes that ended with ErrUnknownOutcome
	Redirects  uint64
	Logins     uint64
}

// Stats returns the counters.
func (c *Client) Stats() Stats {
	e := c.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	for _, n := range e.distinct() {
		if n.online {
			s.Nodes++
		}
	}
	return s
}

// checkReady lets Dial return once there is a ring and somebody to ask.
func (c *Client) checkReady() {
	e := c.engine
	e.mu.Lock()
	ok := false
	if e.doc != nil {
		for _, m := range e.doc.Members {
			ok = ok || e.node(m.JID).usable(e.now())
		}
	}
	e.mu.Unlock()
	if ok {
		c.once.Do(func() { close(c.ready) })
	}
}

var errNoRing = errors.New("the answer holds no ring document")
