package replicated

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/state"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// localView is a snapshot of a replica here.
type localView struct{ v *state.RootView }

func (l localView) revision() uint64 { return l.v.Revision() }
func (l localView) close()           { l.v.Close() }

func (l localView) get(path string) ([]byte, bool, error) {
	o, ok, err := l.v.Get(path)
	return o.Value, ok, damaged(err)
}

func (l localView) scan(from, to string, down bool, visit func(path string, value []byte) bool) error {
	return damaged(l.v.Scan(from, to, down, func(o op.Object) bool { return visit(o.Path, o.Value) }))
}

// damaged: the replica repairs itself from the others, so that another try will do.
func damaged(err error) error {
	if err != nil {
		return fmt.Errorf("%w: the replica here can't be read: %w", ErrUnavailable, err)
	}
	return nil
}

// remoteView is a snapshot that another server holds.
type remoteView struct {
	s      *Store
	ctx    context.Context
	member uint64
	handle uint64 // 0: objects are all of it
	rev    uint64
	known  []object // by path
}

func (v *remoteView) revision() uint64 { return v.rev }

func (v *remoteView) close() {
	if name, ok := v.s.nameOf(v.member); ok && v.handle != 0 {
		r := request{kind: askClose, handle: v.handle}
		v.s.send(name, r.append(nil), 0, payloadRequest)
	}
}

func (v *remoteView) find(path string) (int, bool) {
	return slices.BinarySearchFunc(v.known, path, func(o object, path string) int { return strings.Compare(o.path, path) })
}

func (v *remoteView) get(path string) ([]byte, bool, error) {
	i, ok := v.find(path)
	if ok {
		return v.known[i].value, true, nil
	}
	if v.handle == 0 || path == pathState {
		return nil, false, nil
	}
	a, err := v.ask(&request{kind: askGet, handle: v.handle, from: path})
	if err != nil || a.code == op.NotFound || len(a.objects) == 0 {
		return nil, false, err
	}
	return a.objects[0].value, true, nil
}

func (v *remoteView) scan(from, to string, down bool, visit func(path string, value []byte) bool) error {
	if v.handle == 0 {
		low, _ := v.find(from)
		high := len(v.known)
		if to != "" {
			high, _ = v.find(to)
		}
		list := slices.Clone(v.known[min(low, high):high])
		if down {
			slices.Reverse(list)
		}
		for _, o := range list {
			if !visit(o.path, o.value) {
				break
			}
		}
		return nil
	}
	for {
		a, err := v.ask(&request{kind: askScan, handle: v.handle, from: from, to: to, down: down})
		if err != nil {
			return err
		}
		for _, o := range a.objects {
			if !visit(o.path, o.value) {
				return nil
			}
		}
		if !a.more || len(a.objects) == 0 {
			return nil
		}
		if last := a.objects[len(a.objects)-1].path; down {
			to = last
		} else {
			from = last + "\x00" // no path has it
		}
	}
}

// ask asks the server that holds the snapshot until it answers: nobody else has it.
func (v *remoteView) ask(r *request) (answer, error) {
	until := time.Now().Add(heldTime)
	for {
		a, err := v.s.ask(v.ctx, v.member, r, firstWait)
		switch {
		case err == nil && (a.code == op.OK || a.code == op.NotFound):
			return a, nil
		case err == nil && a.code != op.Overloaded:
			return a, fmt.Errorf("%w: %s", ErrUnavailable, a.text)
		case v.s.ended():
			return a, store.ErrClosed
		case v.ctx.Err() != nil:
			return a, v.ctx.Err()
		case time.Now().After(until):
			return a, fmt.Errorf("%w: the server that was read from does not answer", ErrUnavailable)
		}
	}
}

// open takes a snapshot of a root that is as new as all that was acknowledged before. It carries
// out what is decided there first.
func (s *Store) open(t *try, root string) (snapshot, rootState, error) {
	for {
		v, err := s.snapshot(t, root)
		if err != nil {
			return nil, rootState{}, err
		}
		st, err := stateOf(v)
		if err == nil && st.staged == 0 || s.opt.faults.halfStaged {
			return v, st, err
		}
		if err == nil {
			err = s.finish(t, root, v, st)
		}
		v.close()
		if err != nil {
			return nil, rootState{}, err
		}
	}
}

func stateOf(v snapshot) (rootState, error) {
	b, ok, err := v.get(pathState)
	if err != nil || !ok {
		return rootState{}, err
	}
	return parseRootState(b)
}

// snapshot takes a confirmed snapshot here, or at another server if there is no replica here.
func (s *Store) snapshot(t *try, root string) (snapshot, error) {
	group, err := s.groupOf(t, root)
	if err != nil {
		return nil, err
	}
	for {
		here := !s.isBehind(group)
		list := s.candidates(group, here)
		if len(list) == 0 {
			t.last = "no server is known to have a replica"
			if err := t.pause(); err != nil {
				return nil, err
			}
			continue
		}
		if member := list[t.turn%len(list)]; member == s.dir.Member() {
			v, err := s.viewHere(t, group, root)
			if err == nil {
				t.reached()
				return v, nil
			}
			t.turn, t.last = t.turn+1, err.Error()
			if err := t.pause(); err != nil {
				return nil, err
			}
			continue
		}
		before := t.unknown
		a, done, err := t.next(group, &request{kind: askView, group: group, root: root}, here)
		t.unknown = before // a question changes nothing
		switch {
		case err != nil:
			if err := t.ended(); err != nil {
				return nil, err
			}
		case done && a.code != op.OK:
			return nil, fmt.Errorf("%w: %s", ErrUnavailable, a.text)
		case done:
			return &remoteView{s: s, ctx: t.ctx, member: t.member, handle: a.handle, rev: a.revision, known: a.objects}, nil
		}
	}
}

func (s *Store) viewHere(t *try, group uint32, root string) (snapshot, error) {
	if !s.opt.faults.unconfirmed {
		ctx, cancel := context.WithTimeout(t.ctx, serveWait)
		defer cancel()
		began := time.Now()
		err := s.confirm(ctx, group)
		if time.Since(began) > slowConfirm {
			s.behind.Store(group, time.Now().Add(behindTime))
		}
		if err != nil {
			return nil, err
		}
	}
	v, err := s.node.ViewRoot(group, root)
	if err != nil {
		return nil, err
	}
	return localView{v}, nil
}

// A follower that its leader does not hurry has what is written a tick later. While a group is written to,
// a view of its leader's replica is sooner to be had than one of such a follower's.
const (
	slowConfirm = 5 * time.Millisecond
	behindTime  = 500 * time.Millisecond
)

// isBehind tells whether the replica here was behind a moment ago.
func (s *Store) isBehind(group uint32) bool {
	until, ok := s.behind.Load(group)
	return ok && time.Now().Before(until.(time.Time))
}
