package sm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// takeOver is how long the stream of a session that is resumed has to give it up.
const takeOver = 10 * time.Second

// Resume implements c2s.Resumption (section 5).
func (m *Module) Resume(ctx context.Context, user stanza.JID, el *stanza.Stanza) (*session.Session, []byte, error) {
	p := stanza.Parse(el.Raw)
	p.Next()
	if string(p.Name()) != "resume" {
		return nil, failed("unexpected-request", nil), nil // before a resource is bound, there is nothing to count
	}
	previd, _ := p.Attr("previd")
	h, ok := count(&p)
	if !ok || len(previd) == 0 {
		m.metrics.failed.Inc()
		return nil, failed("bad-request", nil), nil
	}
	id := string(previd)
	s := m.Find(user, id)
	if s == nil && m.Elsewhere != nil {
		m.Elsewhere.Fetch(ctx, user, id)
		s = m.Find(user, id)
	}
	m.mu.Lock()
	last, buried := m.graves.find(id, user)
	m.mu.Unlock()
	if s == nil {
		m.metrics.failed.Inc()
		if buried {
			return nil, failed("item-not-found", &last), nil
		}
		return nil, failed("item-not-found", nil), nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	if err := s.Out.Claim(ctx, h); err != nil {
		m.metrics.failed.Inc()
		var ae *session.AckError
		if errors.As(err, &ae) {
			return nil, nil, tooMuch(err)
		}
		return nil, failed("item-not-found", nil), nil
	}
	s.Out.AwaitHandled(ctx) // what comes next does not overtake it
	m.metrics.resumed.Inc()
	handled, _ := s.Handled()
	return s, fmt.Appendf(nil, "<resumed xmlns='%s' h='%d' previd='%s'/>", NS, handled, id), nil
}

// Elsewhere is the way to sessions of other servers of a cluster.
type Elsewhere interface {
	// Fetch brings an account's session here if another server has it, or returns when it is known that
	// none does.
	Fetch(ctx context.Context, user stanza.JID, id string)
}

// Find returns the session of an account by the name that its client knows; nil if it is not here.
func (m *Module) Find(user stanza.JID, id string) *session.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.byID[id]; s != nil && s.JID.Bare() == user {
		return s
	}
	return nil
}

// Arrived takes note of a session that comes from another server.
func (m *Module) Arrived(id string, s *session.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byID[id] = s
}

// Left forgets a session that another server has got.
func (m *Module) Left(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byID, id)
}

// Policy says how the stanzas of sessions are kept.
func (m *Module) Policy() *session.AckPolicy { return &m.policy }

// Detached implements c2s.Resumption: of an account's sessions that wait for their clients, the
// oldest ends when there are too many.
func (m *Module) Detached(s *session.Session) {
	m.metrics.detached.Inc()
	u := s.User()
	if u == nil {
		return
	}
	waiting, age := 0, -1
	var oldest *session.Session
	for _, other := range u.Sessions() {
		if ticks, ok := other.Out.Detached(); ok {
			waiting++
			if ticks > age {
				age, oldest = ticks, other
			}
		}
	}
	if waiting > m.cfg.DetachedPerAccount {
		oldest.Out.Fail(session.ErrExpired)
	}
}

// ended forgets a session.
func (m *Module) ended(_ context.Context, s *session.Session) {
	if id := s.Out.AckID(); id != "" {
		m.mu.Lock()
		delete(m.byID, id)
		m.mu.Unlock()
	}
}

// returned remembers of a session that is gone how much of its client's stanzas was handled.
func (m *Module) returned(_ context.Context, s *session.Session, _ *session.Batch) {
	h, ok := s.Handled()
	if id := s.Out.AckID(); ok && id != "" {
		m.mu.Lock()
		delete(m.byID, id) // of a session that was replaced while its client asked for resumption
		m.graves.bury(id, s.JID.Bare(), h)
		m.mu.Unlock()
	}
}

// maxGraves bounds what is remembered of sessions that are gone.
const maxGraves = 4096

// graves is what is remembered of sessions that are gone, the latest ones.
type graves struct {
	by    map[string]grave
	order []string // a ring
	next  int
}

type grave struct {
	user stanza.JID
	h    uint32
}

func (g *graves) bury(id string, user stanza.JID, h uint32) {
	if g.by == nil {
		g.by = make(map[string]grave)
	}
	g.by[id] = grave{user, h}
	if len(g.order) < maxGraves {
		g.order = append(g.order, id)
		return
	}
	delete(g.by, g.order[g.next])
	g.order[g.next] = id
	g.next = (g.next + 1) % maxGraves
}

// find tells how many stanzas of a client were handled on a session that is gone, and was the user's.
func (g *graves) find(id string, user stanza.JID) (h uint32, ok bool) {
	gr, ok := g.by[id]
	return gr.h, ok && gr.user == user
}
