package im

import (
	"context"
	"slices"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// NSRoster is the namespace of roster requests and pushes (RFC 6121 section 2.1).
const NSRoster = "jabber:iq:roster"

// Info implements module.Module: the roster is answered like any extension, but is part of the core.
func (s *Service) Info() module.Info {
	return module.Info{Name: "roster", Spec: "RFC 6121", Version: "2011-03", Title: "Roster"}
}

// Features implements module.Module.
func (s *Service) Features() []string { return []string{NSRoster} }

// Routes implements module.Module.
func (s *Service) Routes() []module.Route {
	return []module.Route{{NS: NSRoster, Scope: module.ToAccount, Handle: s.handleRoster}}
}

func (s *Service) handleRoster(ctx context.Context, iq *module.IQ) ([]byte, error) {
	if !iq.Own() {
		return nil, module.Forbidden("a roster belongs to its account")
	}
	if !iq.Set {
		return s.rosterGet(ctx, iq)
	}
	return nil, s.rosterSet(ctx, iq)
}

// rosterGet answers with the roster, or with nothing if the client has it, or can be told what it
// has missed (RFC 6121 sections 2.1.4 and 2.6.3).
//
// The session gets pushes from when the result is in its queue, and then first those that it has
// missed (Service.interested): a push between the reading of the roster and its sending would be undone by the result.
func (s *Service) rosterGet(ctx context.Context, iq *module.IQ) ([]byte, error) {
	owner := iq.From.Bare()
	sess := iq.Src
	has, named, versions := requestedVersion(iq)
	sess.SetInterest(false, false)
	now, err := s.version(ctx, owner)
	if err != nil {
		return nil, err
	}
	if named {
		known, err := s.known(ctx, owner, has, now)
		if err != nil {
			return nil, err
		}
		if known {
			iq.After = func(b *session.Batch) { s.interested(ctx, sess, has, true, b) }
			return nil, nil
		}
	}
	items, err := s.items(ctx, owner, now.shared)
	if err != nil {
		return nil, err
	}
	iq.After = func(b *session.Batch) { s.interested(ctx, sess, now, versions, b) }
	out := []byte("<query xmlns='" + NSRoster + "'")
	if versions {
		out = stanza.AppendAttr(out, "ver", now.String())
	}
	out = append(out, '>')
	for i := range items {
		out = appendItem(out, &items[i])
	}
	return append(out, "</query>"...), nil
}

// items is the roster as its owner sees it.
func (s *Service) items(ctx context.Context, owner stanza.JID, g *shared) ([]account.Item, error) {
	items, err := s.store.Roster(ctx, owner.Local)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(it account.Item) bool {
		return !it.Listed || s.fromGroups(g, owner.Local, it.Contact)
	})
	if _, in := g.group[owner.Local]; in {
		for _, m := range g.members {
			if m.Name != owner.Local {
				items = append(items, s.sharedItem(m))
			}
		}
	}
	return items, nil
}

func appendItem(dst []byte, it *account.Item) []byte {
	dst = append(dst, "<item"...)
	dst = stanza.AppendAttr(dst, "jid", it.Contact)
	if it.Name != "" {
		dst = stanza.AppendAttr(dst, "name", it.Name)
	}
	dst = stanza.AppendAttr(dst, "subscription", string(it.Subscription))
	if it.Ask {
		dst = append(dst, " ask='subscribe'"...)
	}
	if it.Approved {
		dst = append(dst, " approved='true'"...)
	}
	if len(it.Groups) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, g := range it.Groups {
		dst = append(dst, "<group>"...)
		dst = stanza.AppendEscaped(dst, g)
		dst = append(dst, "</group>"...)
	}
	return append(dst, "</item>"...)
}

func appendRemoved(dst []byte, contact string) []byte {
	dst = append(dst, "<item"...)
	dst = stanza.AppendAttr(dst, "jid", contact)
	return append(dst, " subscription='remove'/>"...)
}

// Extend implements module.Extender: the stream features of RFC 6121 sections 2.6.1 and 3.4.1.
func (s *Service) Extend(e *module.Extension) {
	e.StreamFeatures = "<ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>"
}
