package im

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// Refresh makes good what this server may have missed, because it was cut off from another one. It drops what is
// remembered of all accounts that have sessions here, loads the shared groups, ends the sessions of accounts that
// are gone, and pushes what has changed in the rosters of the others. It costs two reads of the store for each
// account, and waits for it. An error of the store ends it: call it again.
func (s *Service) Refresh(ctx context.Context) error {
	err := s.Load(ctx)
	var users []*session.User
	seen := make(map[*session.User]struct{})
	for _, own := range s.everyone() {
		u := own.User()
		if _, is := seen[u]; !is {
			seen[u] = struct{}{}
			users = append(users, u)
			u.Forget()
			u.ForgetMemos()
		}
	}
	for i := 0; i < len(users) && err == nil; i++ {
		err = s.refresh(ctx, users[i])
	}
	if err == nil {
		s.levelOwed(ctx)
	}
	return err
}

// refresh does so for one account.
func (s *Service) refresh(ctx context.Context, u *session.User) error {
	name := localpart(u.Bare)
	a, err := s.store.Account(ctx, name)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return fmt.Errorf("refresh %s: %w", u.Bare, err)
	}
	b := newMail()
	defer s.post(ctx, b)
	for _, own := range u.Sessions() {
		if (err != nil || outlived(a, own) && !s.faults.KeepOlder) && !s.faults.KeepGone {
			s.end(ctx, own, router.StreamError{Condition: "not-authorized", Text: removed})
		} else if !s.faults.NoMeeting {
			s.CatchUp(ctx, own, b.Batch)
		}
	}
	return nil
}

// RefreshAccount is Refresh for the account of a session that was elsewhere until now.
func (s *Service) RefreshAccount(ctx context.Context, own *session.Session) {
	if err := s.refresh(ctx, own.User()); err != nil {
		s.log.Error("what was changed while a session moved is not told", "error", err)
	}
}

// removed is why the sessions of an account that is gone end.
const removed = "the account was removed"

// clocks is more than the clocks of two servers of a cluster may differ.
const clocks = 5 * time.Minute

// outlived reports whether a session was bound before its account was made: it is of an earlier account of that name.
func outlived(a *account.Account, own *session.Session) bool {
	return a.Created.After(time.Unix(0, own.Bound).Add(clocks))
}

// end ends a session.
func (s *Service) end(ctx context.Context, own *session.Session, why router.StreamError) {
	s.SessionEnded(ctx, own)
	own.Out.Fail(&why)
}
