package xmppconn

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What Config.PingAfter and DeadAfter are by default where there are two streams.
const (
	pairPingAfter = 1500 * time.Millisecond
	pairDeadAfter = 4 * time.Second
)

// RunPair keeps two streams up, to two different servers of a cluster, so that the
// death of one costs its client nothing: the second has a resource of its own and a
// Handler of its own, whose methods are called beside the first one's. With a single
// server (of Config.Addrs, or of the domain's SRV records) there is one stream, the
// first one's. While no second server answers it is looked for, with Run's back-off. A server that
// sends one of the streams to where the other one is, is asked to keep it.
//
// It ends as Run does, and with ErrReplaced of either stream. What else one of the
// streams can't mend by trying again ends that one; RunPair ends when both have.
func RunPair(ctx context.Context, cfg Config, second string, h, other Handler) error {
	checked, account, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if len(addresses(ctx, &checked, account.Domain)) < 2 {
		return Run(ctx, cfg, h)
	}
	if cfg.DeadAfter == 0 && cfg.PingAfter == 0 {
		// There is another to go on by: a server that hangs is left as soon as the servers give it up among themselves.
		cfg.PingAfter, cfg.DeadAfter = pairPingAfter, pairDeadAfter
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := new(pair)
	cfg.place = &place{pair: p, index: 0}
	cfg2 := cfg
	cfg2.Resource, cfg2.place = second, &place{pair: p, index: 1}
	ended := make(chan error, 2)
	go func() { ended <- Run(ctx, cfg, h) }()
	go func() { ended <- Run(ctx, cfg2, other) }()
	err = <-ended
	if errors.Is(err, ErrReplaced) {
		cancel()
	} else if err != nil {
		checked.Logger.Warn("one of two streams has ended", "err", err)
	}
	last := <-ended
	if last == nil && !errors.Is(err, ErrReplaced) {
		return nil
	}
	if errors.Is(err, ErrAuth) && errors.Is(last, ErrAuth) {
		return err // the other server says the same
	}
	return errors.Join(err, last)
}

// pair sees to it that its two streams are not to one server.
type pair struct {
	mu sync.Mutex
	at [2]spot
}

// spot is where a stream is, or is about to be; the zero value: nowhere.
type spot struct {
	addr, dialled string // as it was given, and as an address of the network
	sent          bool   // a server has named it
}

// place is a stream's place in its pair; nil: it is alone.
type place struct {
	pair  *pair
	index int
}

// take says whether the stream may go to a server, where it is from then on. sent tells that a server has named that one.
func (p *place) take(addr string, sent bool, f *faults) bool {
	if p == nil {
		return true
	}
	p.pair.mu.Lock()
	defer p.pair.mu.Unlock()
	if other := p.pair.at[1-p.index]; (other.addr == addr || other.dialled == addr) && !f.sameServer {
		return false
	}
	p.pair.at[p.index] = spot{addr: addr, sent: sent}
	return true
}

// dialled notes the address that the name of the server stood for. It reports false if the other stream is there by
// another name. Addresses of the configuration may share one: a balancer's.
func (p *place) dialled(remote string, sent bool, f *faults) bool {
	if p == nil {
		return true
	}
	p.pair.mu.Lock()
	defer p.pair.mu.Unlock()
	if other := p.pair.at[1-p.index]; (other.addr == remote || other.dialled == remote) && (sent || other.sent) && !f.sameServer {
		return false
	}
	p.pair.at[p.index].dialled = remote
	return true
}

// leave notes that the stream is nowhere.
func (p *place) leave() {
	if p != nil {
		p.pair.mu.Lock()
		p.pair.at[p.index] = spot{}
		p.pair.mu.Unlock()
	}
}

// first is the index of the address to try first.
func (p *place) first() int {
	if p == nil {
		return 0
	}
	return p.index
}
