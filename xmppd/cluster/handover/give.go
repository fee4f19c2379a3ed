package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// stage is how far a session is that this server gives away.
type stage uint8

const (
	offered   stage = iota // still here
	committed              // the other server has it, or is about to
	settled                // the other server has it
	back                   // it stays here
	doubtful               // nobody knows
)

// give is a session that this server gives away.
type give struct {
	at   key
	sess *session.Session
	id   string
	n    uint32        // stanzas that were offered
	told chan struct{} // capacity 1: stage has changed
	done chan struct{} // closed at the end

	// Guarded by Handover.mu.
	stage    stage
	spoken   bool         // "commit" was sent, or about to be
	returned []lateStanza // not got by the other server
}

// lateStanza is a stanza that came back.
type lateStanza struct {
	raw   []byte
	doubt bool
}

// patience is how long the other server has to be ready.
const patience = 20 * time.Second

// ErrStays tells that a session stays where it was.
var ErrStays = errors.New("the session stays here")

// Push gives a session to a server that has not asked for it. ErrStays; otherwise the session is there,
// or has ended.
func (h *Handover) Push(ctx context.Context, s *session.Session, to string) error {
	at := key{to, pushed | h.number()}
	var err error
	done := make(chan struct{})
	if !h.run(func() {
		defer close(done)
		err = h.give(ctx, s, at)
	}) {
		return ErrStays
	}
	<-done
	return err
}

// asGiver takes what a server says that wants a session.
func (h *Handover) asGiver(at key, k kind, rest []byte) error {
	if k == kindWant {
		var w wanted
		if err := json.Unmarshal(rest, &w); err != nil {
			return fmt.Errorf("question: %w", err)
		}
		user, err := stanza.ParseJID(w.User)
		if err != nil {
			return fmt.Errorf("question: %w", err)
		}
		if !h.run(func() { h.wanted(at, user, w.ID) }) {
			h.tellNone(at, none{})
		}
		return nil
	}
	h.mu.Lock()
	g := h.gives[at]
	h.mu.Unlock()
	switch {
	case g == nil && k == kindReady:
		h.tell(at.server, kindCancel, at.number)
	case g == nil:
	case k == kindReady:
		h.commit(g)
	case k == kindRefused:
		h.become(g, offered, back)
	case k == kindDone:
		h.become(g, committed, settled)
	}
	return nil
}

func (h *Handover) tellNone(at key, n none) {
	frame, err := appendJSON(head(kindNone, at.number), n)
	if err == nil {
		err = h.send(at.server, frame)
	}
	if err != nil {
		h.log.Debug("answer about a session not sent", "server", at.server, "error", err)
	}
}

// wanted gives a session to a server whose client asks for it.
func (h *Handover) wanted(at key, user stanza.JID, id string) {
	s := h.cfg.Sessions.Find(user, id)
	if s == nil {
		h.tellNone(at, none{})
		return
	}
	h.mu.Lock()
	other := h.giving[s]
	h.mu.Unlock()
	if other != nil {
		<-other.done
		if h.stageOf(other) == settled {
			h.tellNone(at, none{Moved: other.at.server})
			return
		}
	}
	if err := h.give(h.ctx, s, at); err != nil {
		h.log.Debug("session not given away", "jid", s.Full, "server", at.server, "reason", err)
		h.tellNone(at, none{})
	}
}

func (h *Handover) stageOf(g *give) stage {
	h.mu.Lock()
	defer h.mu.Unlock()
	return g.stage
}

// give gives a session away: ErrStays.
func (h *Handover) give(ctx context.Context, s *session.Session, at key) error {
	g := &give{at: at, sess: s, id: s.Out.AckID(), told: make(chan struct{}, 1), done: make(chan struct{})}
	h.mu.Lock()
	if h.giving[s] != nil {
		h.mu.Unlock()
		return ErrStays
	}
	h.giving[s] = g
	h.mu.Unlock()
	defer close(g.done)
	defer func() {
		h.mu.Lock()
		delete(h.giving, s)
		h.mu.Unlock()
	}()
	claim, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := s.Out.Seize(claim); err != nil {
		return fmt.Errorf("%w: %w", ErrStays, err)
	}
	s.Out.AwaitHandled(claim) // what its client sends there does not overtake it
	h.mu.Lock()
	h.gives[at] = g
	h.mu.Unlock()
	if err := h.offer(g); err != nil {
		h.become(g, offered, back)
	}
	return h.end(g, h.wait(ctx, g))
}

// chunk is how much of what is kept goes into a frame, unless one stanza is longer.
const chunk = 64 << 10

// offer sends the session.
func (h *Handover) offer(g *give) error {
	to := g.at.server
	frame, err := appendJSON(head(kindState, g.at.number), h.cfg.Sessions.State(g.sess))
	if err == nil {
		err = h.send(to, frame)
	}
	b := head(kindStanzas, g.at.number)
	empty := len(b)
	flush := func() {
		if len(b) > empty && err == nil {
			err = h.send(to, b)
		}
		b = b[:empty]
	}
	g.n = g.sess.Out.Snapshot(func(raw []byte) {
		if b = appendSized(b, raw); len(b) > chunk {
			flush()
		}
	})
	flush()
	if err == nil {
		err = h.send(to, head(kindOffer, g.at.number))
	}
	return err
}

// commit gives the session away, with what has come since it was offered.
func (h *Handover) commit(g *give) {
	if !h.become(g, offered, committed) {
		h.tell(g.at.server, kindCancel, g.at.number)
		return
	}
	number, full, gone := g.at.number, []byte(g.sess.Full), false
	err := g.sess.Out.HandOver(g.n, func(raw []byte) error {
		switch {
		case h.cfg.Faults.LoseLater:
			return nil
		case gone:
			return h.send(g.at.server, append(appendSized(head(kindHanded, number), full), raw...))
		}
		return h.send(g.at.server, appendSized(head(kindStanzas, number), raw))
	}, func() error {
		gone = true
		return h.send(g.at.server, head(kindCommit, number))
	})
	if err != nil {
		h.become(g, committed, back)
		h.tell(g.at.server, kindCancel, number)
	}
}

// become changes the stage of a handover, and reports whether that was `from` before.
func (h *Handover) become(g *give, from, to stage) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.stage != from {
		return false
	}
	g.stage, g.spoken = to, g.spoken || to == committed
	select {
	case g.told <- struct{}{}:
	default:
	}
	return true
}

// wait waits until it is known what has become of the session.
func (h *Handover) wait(ctx context.Context, g *give) stage {
	t := time.NewTimer(patience)
	defer t.Stop()
	over := ctx.Done()
	for {
		switch s := h.stageOf(g); s {
		case settled, back, doubtful:
			return s
		case committed:
			over = nil // what is said is said
		case offered:
		}
		select {
		case <-g.told:
		case <-over:
			if h.become(g, offered, back) {
				h.tell(g.at.server, kindCancel, g.at.number)
			}
		case <-t.C:
			switch {
			case h.become(g, offered, back):
				h.tell(g.at.server, kindCancel, g.at.number)
			case !h.cfg.Mesh.Reaches(g.at.server):
				h.become(g, committed, settled) // a link would have said if "commit" had been lost
			}
			t.Reset(limbo)
		}
	}
}

// end does what follows from the stage that a handover has ended with.
func (h *Handover) end(g *give, s stage) error {
	if s == back && h.cfg.Faults.NeverBack || s == settled && h.cfg.Faults.KeepBoth {
		s = map[stage]stage{back: settled, settled: back}[s]
	}
	if s != back {
		h.mu.Lock()
		late := g.returned
		if s == settled {
			delete(h.gives, g.at)
		}
		h.mu.Unlock()
		if s == doubtful {
			h.counts.Failed.Add(1)
			h.log.Warn("session ended: it is not known whether another server has got it", "jid", g.sess.Full, "server", g.at.server)
			h.cfg.Sessions.GiveUp(g.sess)
			return nil
		}
		h.counts.Out.Add(1)
		h.log.Debug("session given away", "jid", g.sess.Full, "server", g.at.server)
		for _, raw := range g.sess.Out.Settle() {
			late = append(late, lateStanza{raw, false})
		}
		h.cfg.Sessions.Gone(g.sess, g.id, g.at.server)
		h.tell(g.at.server, kindLeft, g.at.number)
		for _, l := range late {
			h.cfg.Sessions.Late(g.sess.Full, l.raw, l.doubt)
		}
		return nil
	}
	h.mu.Lock()
	if !g.spoken {
		delete(h.gives, g.at) // else Up does: what was sent behind it is going to come back
	}
	h.mu.Unlock()
	h.counts.Failed.Add(1)
	g.sess.Out.TakeBack()
	h.cfg.Sessions.Stays(g.sess)
	return ErrStays
}
