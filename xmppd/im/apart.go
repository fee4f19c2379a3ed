package im

import (
	"context"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
)

// Records of a contact that can't be had are waited for by whoever reads them. Where one takes slowRead the others are read at the same
// time, in partsTime at most: they may be in as many partitions, and each would be waited for anew.
const (
	slowRead  = time.Second
	partsTime = 10 * time.Second
)

// apartFrom tells of each item whether its contact and the account have nothing of each other's presence (apart). All are asked within
// the patience of one read and partsTime.
func (s *Service) apartFrom(ctx context.Context, bare string, items []account.Item) []bool {
	out := make([]bool, len(items))
	var wg sync.WaitGroup
	slow := false
	for i := range items {
		switch {
		case !items[i].From() && !items[i].To():
		case slow:
			wg.Go(func() { out[i] = s.apart(ctx, bare, items[i].Contact) })
		default:
			begin := time.Now()
			out[i] = s.apart(ctx, bare, items[i].Contact)
			if slow = time.Since(begin) >= slowRead && !s.faults.InTurn; slow {
				var stop context.CancelFunc
				ctx, stop = context.WithTimeout(ctx, partsTime)
				defer stop()
			}
		}
	}
	wg.Wait()
	return out
}

// apart reports whether one of two blocks the other (XEP-0191): then neither has the other's presence.
func (s *Service) apart(ctx context.Context, owner, contact string) bool {
	o, errO := stanza.ParseJID(owner)
	c, errC := stanza.ParseJID(contact)
	if errO != nil || errC != nil {
		s.log.Error("address in a roster is none", "account", owner, "contact", contact)
		return true
	}
	return s.router.Blocked(ctx, o, c) || s.isLocal(c) && s.router.Blocked(ctx, c, o)
}
