package xmppd

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/handover"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/modules/sm"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// movable is how package handover sees the server's sessions.
type movable struct {
	srv    *Server
	table  *session.Table
	router *router.Router
	im     *im.Service
}

func (s *Server) newHandover(table *session.Table, r *router.Router, ims *im.Service) {
	s.handover = handover.New(handover.Config{
		Self: s.cluster.Self().Name, Mesh: s.cluster.Mesh(), Sessions: movable{s, table, r, ims}, Locate: s.exchange.Holders,
		Log: s.log, Faults: s.faults.handover,
	})
	c := s.handover.Counts()
	counter := func(name, help string, f func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "xmppd", Subsystem: "cluster", Name: name, Help: help}, func() float64 { return float64(f()) })
	}
	s.registry.MustRegister(
		counter("handovers_in_total", "Sessions that were taken over from another server.", c.In.Load),
		counter("handovers_out_total", "Sessions that another server has taken over.", c.Out.Load),
		counter("handovers_failed_total", "Handovers of sessions that failed: the session has stayed, or ended.", c.Failed.Load),
	)
}

// streamManagement lets clients resume sessions that other servers have, too.
func (s *Server) streamManagement() *sm.Module {
	s.sm = sm.New(s.cfg.Modules.SM, s.registry)
	s.sm.Policy().Faults = s.faults.acks
	if s.handover != nil {
		s.sm.Elsewhere = s.handover
	}
	return s.sm
}

// errNoStreams: stream management is switched off here.
var errNoStreams = errors.New("stream management is off on this server")

// Find implements handover.Sessions.
func (m movable) Find(user stanza.JID, id string) *session.Session { return m.srv.sm.Find(user, id) }

// State implements handover.Sessions.
func (m movable) State(s *session.Session) *session.State {
	st := s.State()
	st.Owes = m.im.Owes(s)
	shown := m.im.Shown(m.srv.c2s.Context(), s)
	st.Seen, st.Given = shown.Seen, shown.Given
	st.Notes, st.Waits = m.router.Noted(s)
	return st
}

// Adopt implements handover.Sessions.
func (m movable) Adopt(st *session.State) (*session.Session, error) {
	if m.srv.resumption == nil {
		return nil, errNoStreams
	}
	return m.srv.c2s.Adopt(st, m.srv.sm.Policy())
}

// Abandon implements handover.Sessions.
func (m movable) Abandon(s *session.Session) { m.srv.c2s.Abandon(s) }

// List implements handover.Sessions.
func (m movable) List(s *session.Session, st *session.State, kept [][]byte) {
	m.srv.kept.Hold(s, kept)
	m.router.Note(s, st.Notes)
	if st.Waits {
		m.router.Arrives(s)
	}
	m.srv.exchange.Got(s.Full)
	m.srv.sm.Arrived(st.ID, s)
	m.srv.c2s.List(m.srv.c2s.Context(), s)
	m.router.TakeNoted(s)
	m.im.Moved(s, st.Owes, im.Picture{Seen: st.Seen, Given: append(st.Given, im.ShownIn(kept)...)})
	m.srv.exchange.Do(s.Full, func(ctx context.Context, b *session.Batch) { m.im.Level(ctx, s, b) })
	m.catchUp(s)
}

// Stays implements handover.Sessions.
func (m movable) Stays(s *session.Session) {
	s.StopMoving()
	m.catchUp(s)
}

// catchUp makes the roster pushes that were not made while a session was on its way.
func (m movable) catchUp(s *session.Session) {
	m.srv.exchange.Do(s.Full, func(ctx context.Context, _ *session.Batch) { m.im.RefreshAccount(ctx, s) })
}

// Listed implements handover.Sessions.
func (m movable) Listed(ctx context.Context, s *session.Session) { m.srv.registered(ctx, s) }

// Available implements handover.Sessions.
func (m movable) Available(ctx context.Context, s *session.Session) {
	var b session.Batch
	m.router.Available(ctx, s, &b)
	b.Flush()
}

// Gone implements handover.Sessions.
func (m movable) Gone(s *session.Session, id, server string) {
	m.srv.sm.Left(id)
	m.srv.exchange.Moved(s.Full, server)
	m.im.Moves(s)
	m.srv.c2s.Gone(m.srv.c2s.Context(), s)
	m.srv.exchange.InTurn(func(ctx context.Context, b *session.Batch) { m.im.Left(ctx, s, b) })
}

// GiveUp implements handover.Sessions.
func (m movable) GiveUp(s *session.Session) {
	ctx := m.srv.c2s.Context()
	var b session.Batch
	m.router.Doubtful(ctx, s.JID, m.srv.c2s.GiveUp(ctx, s), &b)
	b.Flush()
}

// Put implements handover.Sessions.
func (m movable) Put(full string, raw []byte) bool {
	s := m.table.Get(full)
	if s == nil {
		return false
	}
	if m.im.Dated(raw) {
		return true
	}
	var b session.Batch
	ok := b.Send(s, raw, nil, nil, nil)
	b.Flush()
	if ok {
		m.srv.kept.Hold(s, [][]byte{raw})
	}
	return ok
}

// Late implements handover.Sessions.
func (m movable) Late(full string, raw []byte, doubt bool) {
	to, err := stanza.ParseJID(full)
	if err != nil {
		return // never: it was a session's
	}
	m.srv.exchange.Do(full, func(ctx context.Context, b *session.Batch) { m.router.Late(ctx, to, raw, doubt, b) })
}
