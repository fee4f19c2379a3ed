package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Times of what is no stream yet.
const (
	helloTime   = 10 * time.Second      // from connecting to the answer
	dialTime    = 2 * time.Second       // for the network to connect
	dialsAtOnce = 4                     // handshakes under way: many at once would all take too long
	halfTime    = 3 * helloTime         // for the other stream of a pair
	delistTime  = time.Second           // the same of a server that is not listed, until gossip has it again
	firstWait   = 50 * time.Millisecond // before dialling again; doubles
	longWait    = 2 * time.Second       // at most
	drainLook   = 2 * time.Millisecond  // how often a queue is looked at that has to run empty
)

// peer is what this server has to do with another one. Its goroutine, run, owns what has no other
// guard.
type peer struct {
	m       *Mesh
	name    string
	q       queue
	up      atomic.Bool
	ends    atomic.Uint32 // an End: why the present pair, or the last one, does
	counts  *counts
	accepts chan *incoming // streams of the peer, their hello not answered
	changed chan struct{}  // capacity 1: addr is another, or there is reason to think that it can be reached
	retired chan struct{}  // closed when nobody takes streams any more

	mu   sync.Mutex
	addr string    // empty: the peer is not listed
	out  *outgoing // of the present pair

	had     lastStream // what the peer has sent on its last stream
	limbo   *limbo     // written, not acknowledged, and not known yet whether it has come
	pending *incoming  // has ended the pair before, and waits for its answer
	wait    time.Duration

	// why it is not connected; nil: it is, or nobody has found out yet
	why atomic.Pointer[absence]
}

// lastStream is how much of a peer's stream has come.
type lastStream struct{ stream, frames uint64 }

func newPeer(m *Mesh, name string) *peer {
	return &peer{
		m: m, name: name, q: queue{wake: make(chan struct{}, 1)}, counts: new(counts),
		accepts: make(chan *incoming), changed: make(chan struct{}, 1), retired: make(chan struct{}), wait: firstWait,
	}
}

// want says where the peer listens, or that it is not listed.
func (p *peer) want(addr string) {
	p.mu.Lock()
	same := p.addr == addr
	p.addr = addr
	p.mu.Unlock()
	if !same {
		p.hurry()
	}
}

// hurry has the peer dialled at once.
func (p *peer) hurry() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *peer) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// run keeps a pair of streams to the peer.
func (p *peer) run() {
	defer close(p.retired)
	for {
		out, in := p.meet()
		if out == nil {
			p.giveUp()
			if p.m.retire(p) {
				return
			}
			continue
		}
		p.live(out, in)
	}
}

// meet waits until there is a stream each way, to and from the same process of the peer. It returns
// nothing when there is nothing to wait for.
func (p *peer) meet() (*outgoing, *incoming) {
	r := rendezvous{p: p, dialed: make(chan dialed, 1)}
	r.retry = time.NewTimer(0)
	r.half = time.NewTimer(halfTime)
	r.half.Stop()
	defer r.end()
	for !r.met() {
		if !r.step() {
			return nil, nil
		}
	}
	out, in := r.out, r.in
	r.out, r.in = nil, nil
	p.wait = firstWait
	return out, in
}

// rendezvous is the state of meet.
type rendezvous struct {
	p           *peer
	out         *outgoing
	in          *incoming
	dialed      chan dialed
	dialing     context.CancelFunc // nil: nobody dials
	due         bool               // dialling is
	retry, half *time.Timer
}

type dialed struct {
	out *outgoing
	err error
}

func (r *rendezvous) met() bool {
	return r.out != nil && r.in != nil && (r.out.incarnation == r.in.hello.Incarnation || r.p.m.cfg.Faults.AnyProcess)
}

// step waits for one thing to happen; false if the peer is not wanted.
func (r *rendezvous) step() bool {
	p := r.p
	if p.pending != nil {
		r.take(p.pending)
		p.pending = nil
		return true
	}
	addr := p.address()
	if addr == "" && r.in == nil && r.out == nil && r.dialing == nil && p.limbo == nil {
		return false
	}
	if r.due && r.dialing == nil && r.out == nil && addr != "" {
		r.dial(addr)
	}
	select {
	case d := <-r.dialed:
		r.dialing()
		r.dialing = nil
		r.got(d)
	case in := <-p.accepts:
		r.take(in)
	case <-r.retry.C:
		r.due = true
	case <-r.half.C:
		if r.out != nil && addr != "" {
			p.m.notices.Warn("a server can't be reached the other way: it doesn't open a stream to this one; look at the addresses that are advertised", "server", p.name)
		}
		r.drop()
		r.again()
	case <-p.limboOver():
		p.giveUp()
	case <-p.changed:
		p.wait, r.due = firstWait, true
		r.awaitHalf()
	case <-p.m.closing:
		return false
	case <-p.m.ctx.Done():
		return false
	}
	return true
}

// dial opens a stream to the peer.
func (r *rendezvous) dial(addr string) {
	ctx, cancel := context.WithCancel(r.p.m.ctx)
	r.dialing, r.due = cancel, false
	asks, of := r.p.question()
	r.p.m.wg.Go(func() {
		out, err := r.p.m.dial(ctx, r.p.name, addr, asks, of)
		r.dialed <- dialed{out, err}
	})
}

// got takes the result of dial.
func (r *rendezvous) got(d dialed) {
	if d.err != nil {
		r.p.m.notDialed(r.p, d.err)
		r.again()
		return
	}
	r.out = d.out
	r.p.answered(d.out)
	r.other()
}

// take answers a stream of the peer.
func (r *rendezvous) take(in *incoming) {
	if r.in != nil {
		r.in.close()
	}
	r.in = nil
	if err := in.answer(&r.p.m.cfg, r.p.had); err != nil {
		in.close()
		return
	}
	r.in = in
	if r.out == nil && r.dialing == nil {
		r.due = true // it lives: at once
	}
	r.other()
}

// other looks whether both streams are of the same process, and waits for the other one.
func (r *rendezvous) other() {
	if r.out != nil && r.in != nil && !r.met() {
		r.drop() // the peer was started again between the two
		r.again()
		return
	}
	r.awaitHalf()
}

// awaitHalf gives the other stream its time, where there is one. Nobody dials a server that is not listed, so that half a
// pair with it would last, and keep the other end from trying anew.
func (r *rendezvous) awaitHalf() {
	switch {
	case r.out == nil && r.in == nil:
	case r.p.address() == "":
		r.half.Reset(delistTime)
	default:
		r.half.Reset(halfTime)
	}
}

func (r *rendezvous) drop() {
	if r.out != nil {
		_ = r.out.conn.Close()
	}
	if r.in != nil {
		r.in.close()
	}
	r.out, r.in = nil, nil
	r.half.Stop()
}

// again dials once more, after a while that differs from server to server.
func (r *rendezvous) again() {
	r.retry.Reset(r.p.wait/2 + rand.N(r.p.wait)) //nolint:gosec // no secret
	r.p.wait = min(2*r.p.wait, longWait)
}

// end leaves nothing of what was not met.
func (r *rendezvous) end() {
	r.retry.Stop()
	r.half.Stop()
	if r.dialing != nil {
		r.dialing()
		if d := <-r.dialed; d.out != nil {
			_ = d.out.conn.Close()
		}
	}
	r.drop()
}

// live is the life of a pair.
func (p *peer) live(out *outgoing, in *incoming) {
	ctx, end := context.WithCancelCause(p.m.ctx)
	defer end(nil)
	p.mu.Lock()
	p.out = out
	p.mu.Unlock()
	p.ends.Store(uint32(Broken))
	p.q.start()
	p.up.Store(true)
	p.why.Store(nil)
	p.m.log.Info("server is connected", "server", p.name, "address", out.conn.RemoteAddr().String())
	p.m.hurryOthers()
	p.m.cfg.Up(p.name, out.incarnation)
	var wg sync.WaitGroup
	for _, f := range []func(context.Context) error{
		func(ctx context.Context) error { return out.write(ctx, p) },
		func(context.Context) error { return out.readAcks(p) },
		func(context.Context) error { return in.read(p) },
	} {
		wg.Go(func() { end(f(ctx)) })
	}
	select {
	case <-ctx.Done():
	case p.pending = <-p.accepts:
		end(errReplaced)
	}
	_ = out.conn.Close()
	in.close()
	wg.Wait()
	p.down(out, in, context.Cause(ctx))
}

// errReplaced ends a pair whose other end has given it up.
var errReplaced = errors.New("the server has opened a new stream")

// down cleans up behind a pair.
func (p *peer) down(out *outgoing, in *incoming, why error) {
	end := time.Now() // before anybody is told ErrDown
	p.mu.Lock()
	p.out = nil
	p.mu.Unlock()
	p.up.Store(false)
	left := p.q.stop()
	p.ended(why)
	p.m.cfg.Down(p.name)
	p.had = lastStream{in.hello.Stream, in.received}
	unacked, first := out.rest()
	at := times(end, unacked, left)
	p.keep(out, unacked, first, at)
	at = at.Add(time.Duration(framesOf(unacked)) * apart)
	if !p.m.cfg.Faults.Forget {
		for i := range left {
			at = p.back(left[i].b, 0, at, false)
		}
	}
}

// drained waits until the peer has acknowledged everything, or ctx ends.
func (p *peer) drained(ctx context.Context) {
	t := time.NewTicker(drainLook)
	defer t.Stop()
	for p.up.Load() {
		if p.settled() {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// settled reports whether nothing waits, and the peer has acknowledged what was written.
func (p *peer) settled() bool {
	p.mu.Lock()
	out := p.out
	p.mu.Unlock()
	return out == nil || p.q.bytes() == 0 && out.idle()
}
