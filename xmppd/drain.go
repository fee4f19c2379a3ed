package xmppd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/cluster"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

const (
	drainEvery = 50 * time.Millisecond
	drainStep  = 20              // sessions moved in that time: 400 a second
	atOnce     = 16              // sessions on their way
	leaveTime  = 5 * time.Second // for all of them, when the server is stopped
)

// errMoved is what a client is told whose server is drained. With stream management its session waits for it at
// another server.
var errMoved = &router.StreamError{Condition: "system-shutdown", Text: "this server is about to stop: connect to another one of the domain; a session that can be resumed goes on there"}

// drainer moves the sessions of a server that is drained to the others.
type drainer struct {
	srv   *Server
	table *session.Table
	news  chan struct{} // capacity 1: the others are to be told
	wake  chan struct{} // capacity 1: there is something to do
	turn  int           // of servers; of the goroutine that moves
	mu    sync.Mutex    // held by that
}

func newDrainer(s *Server, table *session.Table) *drainer {
	return &drainer{srv: s, table: table, news: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run moves sessions a few at a time while the server is drained.
func (d *drainer) run(ctx context.Context) {
	t := time.NewTicker(drainEvery)
	defer t.Stop()
	for {
		if !d.srv.draining.Load() {
			select {
			case <-d.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		d.move(ctx, drainStep)
		if d.table.Count() == 0 && d.srv.exchange.Idle() {
			poke(d.news)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// move moves some sessions, or all of them if limit is 0.
func (d *drainer) move(ctx context.Context, limit int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	to := d.srv.others()
	if len(to) == 0 {
		return
	}
	var list []*session.Session
	d.table.Each(func(s *session.Session) bool {
		list = append(list, s)
		return limit == 0 || len(list) < limit
	})
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, s := range list {
		d.turn++
		server := to[d.turn%len(to)]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d.moveOne(ctx, s, server)
		})
	}
	wg.Wait()
}

// moveOne gives a session to another server, or ends it if its client could not resume it.
func (d *drainer) moveOne(ctx context.Context, s *session.Session, server string) {
	_, waits := s.Out.Detached()
	if !waits && !s.Out.Part(xmlstream.AppendError(nil, errMoved)) {
		s.Out.Fail(errMoved)
		return
	}
	if err := d.srv.handover.Push(ctx, s, server); err != nil {
		d.srv.log.Debug("session not moved", "jid", s.Full, "server", server, "reason", err)
	}
}

// leave is the short form of draining, of a server that is being stopped.
func (d *drainer) leave() {
	if len(d.srv.others()) == 0 {
		return
	}
	d.srv.c2s.Refuse(true)
	ctx, stop := context.WithTimeout(context.Background(), leaveTime)
	defer stop()
	d.move(ctx, 0)
}

// others are the servers that clients can go to.
func (s *Server) others() []string { return s.upBesides(s.cluster.Self().Name) }

// upBesides are the servers besides one that take clients and can be reached.
func (s *Server) upBesides(name string) (names []string) {
	for _, m := range s.cluster.Members() {
		if m.Name != name && m.State == cluster.Up && s.reaches(m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// Words of an operator to a server (cluster.Node.Ask).
const (
	wordDrain = "drain"
	wordStay  = "stay"
)

// asked does what an operator has asked for at another server.
func (s *Server) asked(word string) {
	switch word {
	case wordDrain:
		if err := s.setDraining(true); err != nil {
			s.log.Warn("not drained", "reason", err)
		}
	case wordStay:
		_ = s.setDraining(false)
	}
}

// ErrLast tells that there is no server that clients could go to.
var ErrLast = errors.New("there is no other server for its clients: start one first, or wait until one is up")

// setDraining begins or ends to move the clients of this server to others: ErrLast.
func (s *Server) setDraining(on bool) error {
	if on && len(s.others()) == 0 {
		return ErrLast
	}
	s.c2s.Refuse(on)
	if on {
		s.drain()
		s.log.Info("draining: clients go to other servers")
	} else {
		s.draining.Store(false)
		if s.balance != nil {
			s.balance.Report(true)
		}
		s.log.Info("no longer draining: clients are taken again")
	}
	poke(s.drainer.wake)
	poke(s.drainer.news)
	return nil
}

// drainRequest says which server is to be drained; an empty name: the one that is asked.
type drainRequest struct {
	Name   string `json:"name,omitempty"`
	Cancel bool   `json:"cancel,omitempty"`
}

// AskToDrain has a server of the cluster drained, or takes that back; an empty name stands for this one. It returns the
// server's name, and does not wait for the end: ErrNoCluster, ErrLast, or that the server can't be reached.
func (s *Server) AskToDrain(name string, on bool) (string, error) {
	if s.cluster == nil {
		return "", ErrNoCluster
	}
	self := s.cluster.Self().Name
	if name == "" || name == self {
		return self, s.setDraining(on)
	}
	word := wordStay
	if on {
		word = wordDrain
		if s.cluster.Mesh().Reaches(name) && len(s.upBesides(name)) == 0 {
			return "", fmt.Errorf("server %s: %w", name, ErrLast)
		}
	}
	if err := s.cluster.Ask(name, word); err != nil {
		return "", fmt.Errorf("server %s: %w; `xmppd cluster status` lists the servers", name, err)
	}
	return name, nil
}

// AskClusterDrain asks the running server of a data directory for AskToDrain.
func AskClusterDrain(ctx context.Context, data, name string, on bool) (string, error) {
	r := newRemoteUsers(filepath.Join(data, adminSocket))
	answer := drainRequest{Name: name}
	err := r.call(ctx, http.MethodPost, "/cluster/drain", drainRequest{name, !on}, &answer)
	return answer.Name, errors.Join(err, r.Close())
}
