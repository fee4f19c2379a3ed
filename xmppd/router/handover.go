package router

import (
	"context"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Noted names the modules that have noted a session (session.Interest.Note), for a server that gets it. waits tells
// that something may wait for the session that a module has kept.
func (r *Router) Noted(s *session.Session) (names []string, waits bool) {
	for i, e := range r.hooks.all {
		switch noted := e.Interest.Noted(s); {
		case noted && e.Arrives == nil:
			names = append(names, r.hooks.names[i])
		case noted && marked(e, s.User()):
			waits = true
		}
	}
	return names, waits
}

// Note notes a session for modules that have noted it where it comes from.
func (r *Router) Note(s *session.Session, names []string) {
	for i, e := range r.hooks.all {
		if slices.Contains(names, r.hooks.names[i]) {
			e.Interest.Note(s)
		}
	}
}

// TakeNoted marks the account of a session for the modules that have noted that. It is called when the
// session is listed.
func (r *Router) TakeNoted(s *session.Session) {
	for _, e := range r.hooks.all {
		if e.Interest.Noted(s) {
			e.Interest.Take(s.User())
		}
	}
}

// Late takes a stanza that a session was given which is at another server by now, or gone. The hooks of its
// receiver have seen it. doubt tells that the session may have got it.
func (r *Router) Late(ctx context.Context, to stanza.JID, raw []byte, doubt bool, b *session.Batch) {
	st, err := stanza.One(raw)
	if err != nil || !st.From.Present() || st.Kind != stanza.Message && st.Kind != stanza.IQ {
		return
	}
	p := &module.Passage{To: to, Stanza: st, Batch: b, Stamped: true}
	if p.From, err = stanza.ParseJID(st.AttrString(st.From)); err != nil || p.From == to.Bare() {
		return // made by the server for this session alone
	}
	if doubt {
		r.Undelivered(ctx, p, &module.Error{
			Type: "wait", Condition: "remote-server-timeout",
			Text: "the receiver's server was cut off while it took the session over: this may have been delivered",
		})
		return
	}
	r.Arrive(ctx, p)
}

// Doubtful is Late of the runs of stanzas that were kept for a session of which nobody knows where it is.
func (r *Router) Doubtful(ctx context.Context, to stanza.JID, kept []byte, b *session.Batch) {
	scan := stanza.NewScanner(stanza.Unlimited())
	for len(kept) > 0 {
		st, n, err := scan.Next(kept)
		if err != nil || n == 0 {
			return
		}
		kept = kept[n:]
		if st != nil {
			r.Late(ctx, to, st.Raw, true, b)
		}
	}
}
