package exchange

import (
	"cmp"
	"context"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/cluster/directory"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// OnKept sets what looks after messages that are kept. It is called before the first stanza.
func (x *Exchange) OnKept(f func(context.Context, stanza.JID, *session.Batch)) { x.kept = f }

// Kept tells servers where the account has come meanwhile that a message was kept for it.
func (x *Exchange) Kept(owner stanza.JID) {
	account := owner.String()
	x.dir.Ask(account, func(e directory.Entry) {
		for _, h := range e {
			if h.Server != x.cfg.Self {
				x.tellKept(h.Server, account)
			}
		}
	})
}

// haveLook tells a server that is connected that messages may have been kept here for its accounts while it could not be told
// so: before it is sent any stanza for them.
func (x *Exchange) haveLook(server string) { x.tellKept(server, "") }

// tellKept tells a server to look for what is kept for an account; empty: for any.
func (x *Exchange) tellKept(server, account string) {
	if err := x.cfg.Mesh.Send(server, Stanzas, appendHead(nil, kindKept, 1, account)); err != nil {
		x.log.Debug("kept message not told to a server", "server", server, "error", err)
	}
}

// look delivers what another server may have kept for the accounts that are here: before what comes for them from now on.
func (x *Exchange) look() {
	if x.kept == nil {
		return
	}
	seen := make(map[*session.User]bool)
	owners := make(map[*lane][]stanza.JID)
	x.cfg.Table.Each(func(s *session.Session) bool {
		if u := s.User(); !seen[u] && s.Available() {
			seen[u] = true
			l := x.lane(u.Bare)
			owners[l] = append(owners[l], s.JID.Bare())
		}
		return true
	})
	for l, list := range owners {
		if x.cfg.Faults.LookLate {
			x.casts.add(func(b *session.Batch) { x.lookFor(list, b) })
			continue
		}
		l.add(func(*session.Batch) { x.lookFirst(list) })
	}
}

// lookFirst has what comes for accounts wait while what is kept for them is looked for, as long as their records can be had soon.
func (x *Exchange) lookFirst(list []stanza.JID) {
	done := make(chan struct{})
	x.wg.Go(func() {
		defer close(done)
		x.awaitWords()
		var b session.Batch
		x.lookFor(list, &b)
		b.Flush()
	})
	late := time.NewTimer(cmp.Or(x.cfg.Faults.Look, patience))
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

func (x *Exchange) lookFor(list []stanza.JID, b *session.Batch) {
	for _, owner := range list {
		x.kept(x.ctx, owner, b)
	}
}
