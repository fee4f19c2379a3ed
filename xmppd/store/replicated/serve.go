package replicated

import (
	"context"
	"errors"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/ring"
)

// serveWait is how long a request of another server may wait for confirmation here: it asks
// elsewhere then.
const serveWait = time.Second

// serve takes a request of another server.
func (s *Store) serve(from string, id uint64, payload []byte) {
	r := new(request)
	reply := func(a answer) {
		a.epoch = s.epoch()
		s.send(from, a.append(nil), id, payloadAnswer)
	}
	if err := r.parse(payload); err != nil {
		s.log.Warn("request of another server not understood; run the same version everywhere", "server", from, "err", err)
		reply(answer{code: op.Invalid, text: err.Error()})
		return
	}
	s.heard(r.epoch)
	s.answer(from, r, reply)
}

// answer carries out a request of a server, "" being this one. done is called once, from
// any goroutine, and not for requests without an answer. It does not block.
func (s *Store) answer(from string, r *request, done func(answer)) {
	if from == "" {
		from = s.opt.Name
	}
	now := time.Now().UnixMilli()
	switch r.kind {
	case askRing:
		done(s.newerRing(r.epoch))
	case askPropose:
		s.wake()
	case askOpen:
		s.propose(r.group, state.EncodeOpen(nil, now, jidOf(from)), done)
	case askWrite:
		if tooLarge, err := r.write.Check(); err != nil {
			code := op.Invalid
			if tooLarge {
				code = op.TooLarge
			}
			done(answer{code: code, text: err.Error()})
			return
		}
		cmd := state.EncodeWrite(nil, now, state.OwnerOf(jidOf(from)), r.write)
		if s.opt.faults.ackEarly {
			s.propose(r.group, cmd, func(answer) {})
			done(answer{code: op.OK})
			return
		}
		s.propose(r.group, cmd, done)
	case askLeave, askMayLeave:
		s.goServe(func(ctx context.Context) { done(s.leaveHere(ctx, r.text, r.kind == askMayLeave)) }, done)
	case askView, askOwners:
		s.goServe(func(ctx context.Context) { done(s.answerFresh(ctx, from, r)) }, done)
	case askGet, askScan:
		s.goServe(func(context.Context) { done(s.held.read(from, r)) }, done)
	case askClose: // which may have to wait for a read of the snapshot
		s.goServe(func(context.Context) { s.held.close(from, r.handle) }, func(answer) {})
	default:
		done(answer{code: op.Invalid, text: "unknown request"})
	}
}

// goServe runs what may wait, unless too much waits already.
func (s *Store) goServe(f func(ctx context.Context), done func(answer)) {
	if !s.begin() {
		done(answer{code: op.Unavailable, text: "this server is stopping"})
		return
	}
	select {
	case s.serving <- struct{}{}:
	default:
		s.wg.Done()
		done(answer{code: op.Overloaded, text: "this server has too many requests of other servers under way"})
		return
	}
	go func() {
		defer s.wg.Done()
		defer func() { <-s.serving }()
		ctx, cancel := context.WithTimeout(context.Background(), serveWait)
		defer cancel()
		f(ctx)
	}()
}

func (s *Store) propose(group uint32, cmd []byte, done func(answer)) {
	s.node.ProposeBatch([]replication.Proposal{{Group: group, Cmd: cmd, Done: func(r op.WriteResult) {
		a := answer{code: r.Code, revision: r.Revision, session: r.Session, text: r.Text}
		a.leader, _ = s.node.LeaderOf(group)
		done(a)
	}}})
}

// confirm waits until what is applied here of a group is not older than now. Errors: errNotHere,
// those of ctx, errClosing.
func (s *Store) confirm(ctx context.Context, group uint32) error {
	ch := make(chan op.ReadResult, 1)
	s.node.Read([]replication.ReadRequest{{
		Group: group,
		Read:  &op.Read{Kind: op.Get, Root: domainRoot, Path: pathState, Stale: true},
		Done:  func(r op.ReadResult) { ch <- r },
	}})
	select {
	case r := <-ch:
		if r.Code == op.OK || r.Code == op.NotFound {
			return nil
		}
		return errors.Join(errNotHere, errors.New(r.Text))
	case <-ctx.Done():
		return ctx.Err()
	case <-s.quit:
		return errClosing
	}
}

// errNotHere: this server can't answer for the group now.
var errNotHere = errors.New("not to be had here")

// answerFresh answers what needs the newest state.
func (s *Store) answerFresh(ctx context.Context, from string, r *request) answer {
	if err := s.confirm(ctx, r.group); err != nil {
		a := answer{code: op.Unavailable, text: err.Error()}
		if _, err := s.node.ReadApplied(r.group, &op.Read{Kind: op.Get, Root: domainRoot}); err != nil {
			a.code = op.Redirect
		}
		a.leader, _ = s.node.LeaderOf(r.group)
		return a
	}
	if r.kind == askOwners {
		return s.ownersHere(r)
	}
	v, err := s.node.ViewRoot(r.group, r.root)
	if err != nil {
		return answer{code: op.Unavailable, text: err.Error()}
	}
	return s.held.open(from, v)
}

// newerRing answers with the ring document if it is newer than an epoch. Without one it says what data this server has,
// for who makes the first one, and in more whether it may make one itself.
func (s *Store) newerRing(epoch uint64) answer {
	a := answer{code: op.NotFound, epoch: s.epoch()}
	doc := s.ring.Load()
	switch {
	case doc == nil && s.dir.Cluster() != "":
		return answer{code: op.Unavailable, text: "this server's data is of a cluster whose ring it does not know"}
	case doc == nil:
		a.text, a.more = s.ID(), s.opt.Found != nil
		return a
	case doc.Epoch <= epoch:
		return a
	}
	raw, err := ring.Encode(doc)
	if err != nil {
		return answer{code: op.Unavailable, text: err.Error()}
	}
	a.code, a.doc = op.OK, raw
	return a
}
