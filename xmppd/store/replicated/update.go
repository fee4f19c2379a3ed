package replicated

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// View implements store.Store.
func (s *Store) View(ctx context.Context, owner string, f func(store.Reader) error) error {
	if err := s.enter(ctx, owner); err != nil {
		return err
	}
	defer s.wg.Done()
	v, _, err := s.open(s.newTry(ctx), rootOf(owner))
	if err != nil {
		return err
	}
	defer v.close()
	return f(&reader{owner: owner, base: v})
}

// enter begins an operation.
func (s *Store) enter(ctx context.Context, owner string) error {
	if err := store.CheckOwner(owner); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.begin() {
		return store.ErrClosed
	}
	return nil
}

type updateFunc = func(store.Tx) error

// Update implements store.Store. f runs on a snapshot; what it has changed is committed on the
// condition that the owner's records still are those of the snapshot. Otherwise it runs again. Updates
// of an owner that come while another one is committed go together.
func (s *Store) Update(ctx context.Context, owner string, f func(store.Tx) error) error {
	if err := s.enter(ctx, owner); err != nil {
		return err
	}
	defer s.wg.Done()
	u := &update{ctx: ctx, f: f, done: make(chan struct{})}
	if s.lanes.add(owner, u) {
		s.wg.Add(1) // not the last one: this operation is counted
		go s.runLane(owner)
	}
	return s.lanes.wait(u)
}

// runLane runs the updates of an owner until there are none.
func (s *Store) runLane(owner string) {
	defer s.wg.Done()
	for {
		list := s.lanes.take(owner)
		if len(list) == 0 {
			return
		}
		s.run(owner, list)
	}
}

// run runs updates together and tells them their outcome.
func (s *Store) run(owner string, list []*update) {
	t := s.newTry(context.Background())
	root := rootOf(owner)
	err := errConflict
	for errors.Is(err, errConflict) {
		var p *prepared
		if p, err = s.prepare(t, owner, root, &list); err == nil && !p.empty() {
			err = s.commit(t, root, p)
		}
		if errors.Is(err, errConflict) {
			s.lanes.pause(list)
			if ended := t.yield(); ended != nil {
				err = ended
			}
		}
	}
	for _, u := range list {
		if err != nil {
			// Even what an update has refused may have been because of another's changes.
			u.err = err
		}
		close(u.done)
	}
}

// prepared is what an update comes to.
type prepared struct {
	revision uint64
	state    rootState
	muts     []op.Mutation
	orphans  []string // stages that nobody needs; see staged.go
}

func (p *prepared) empty() bool { return len(p.muts) == 0 }

// prepare runs updates on a snapshot, one after the other, each on what those before have made of it.
// It takes those off the list that have been withdrawn.
func (s *Store) prepare(t *try, owner, root string, list *[]*update) (*prepared, error) {
	v, st, err := s.open(t, root)
	if err != nil {
		return nil, err
	}
	defer v.close()
	*list = s.lanes.begin(*list)
	x := &tx{reader{owner: owner, base: v}}
	for _, u := range *list {
		before := x.changes.clone()
		if u.run(x); u.err != nil || u.panicked != nil {
			x.changes = before
		}
	}
	p := &prepared{revision: v.revision(), state: st}
	if err := p.collect(x, root); err != nil {
		return nil, err
	}
	if x.changes.dropped || len(split(p.muts)) > 1 {
		err := v.scan(pathStage, pathStage+"~", false, func(path string, _ []byte) bool {
			p.orphans = append(p.orphans, path)
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// run runs the function; a panic is kept for the goroutine that called Update.
func (u *update) run(x *tx) {
	defer func() { u.panicked = recover() }()
	u.err = u.f(x)
}

// collect makes mutations of what has changed. No path occurs twice.
func (p *prepared) collect(x *tx, root string) error {
	put := make(map[string]bool)
	var gone []string
	names := make([]string, 0, len(x.changes.collections))
	for name := range x.changes.collections {
		names = append(names, name)
	}
	slices.Sort(names)
	large := false
	for _, name := range names {
		for _, c := range x.changes.of(name).list {
			path := pathOf(name, c.key)
			if !c.deleted {
				from := len(p.muts)
				p.muts = putRecord(p.muts, path, c.key, c.value)
				large = large || len(p.muts) > from+1
				for _, m := range p.muts[from:] {
					put[m.Path] = true
				}
			} else if !x.changes.dropped {
				gone = append(gone, path)
			}
			if p.state.large && !x.changes.dropped {
				parts, err := partsOf(x.base, path)
				if err != nil {
					return err
				}
				gone = append(gone, parts...)
			}
		}
	}
	if x.changes.dropped {
		err := x.base.scan("", "", false, func(path string, _ []byte) bool {
			gone = append(gone, path)
			return true
		})
		if err != nil {
			return err
		}
		p.state.large = false
	}
	for _, path := range gone {
		if !put[path] && !ownPath(path) {
			p.muts = append(p.muts, op.Mutation{Kind: op.Delete, Path: path})
		}
	}
	p.own(x, root, large, len(put) > 0)
	return nil
}

// partsOf are the further parts that a stored record has.
func partsOf(base snapshot, path string) (paths []string, err error) {
	err = base.scan(path+apart, path+apart+"~", false, func(p string, _ []byte) bool {
		if record, ok := cutPart(p); ok && record == path {
			paths = append(paths, p)
		}
		return true
	})
	return paths, err
}

// own adds what the root needs of its own. p.state becomes what it is afterwards.
func (p *prepared) own(x *tx, root string, large, some bool) {
	if len(p.muts) == 0 {
		return
	}
	switch _, had, _ := x.base.get(pathState); {
	case large && !p.state.large:
		p.state.large = true
		p.muts = append(p.muts, op.Mutation{Kind: op.Put, Path: pathState, Value: p.state.append(nil)})
	case had && !p.state.large:
		p.muts = append(p.muts, op.Mutation{Kind: op.Delete, Path: pathState})
	}
	if !isShortened(root) {
		return
	}
	name := op.Mutation{Kind: op.Put, Path: pathName, Value: []byte(x.owner)}
	if x.changes.dropped && !some {
		name = op.Mutation{Kind: op.Delete, Path: pathName}
	}
	p.muts = append(p.muts, name)
}

// ownPath tells whether a path is not that of a record.
func ownPath(path string) bool { return strings.HasPrefix(path, "!") }

// commit executes what an update comes to, all or nothing. Errors: errConflict, those of
// try.ended, ErrTooMuch.
func (s *Store) commit(t *try, root string, p *prepared) error {
	batches := split(p.muts)
	if len(batches) > 1 {
		return s.commitStaged(t, root, p, batches)
	}
	for _, path := range p.orphans {
		if len(p.muts) < maxMutations {
			p.muts = append(p.muts, op.Mutation{Kind: op.Delete, Path: path})
		}
	}
	_, err := s.write(t, root, op.Condition{Kind: op.VersionIs, Version: p.revision}, p.muts)
	return err
}

// split makes batches of mutations that each fit an entry.
func split(muts []op.Mutation) (batches [][]op.Mutation) {
	size, from := 0, 0
	for i := range muts {
		n := mutationSize(&muts[i])
		if i > from && (size+n > maxEntry || i-from == maxMutations) {
			batches = append(batches, muts[from:i])
			size, from = 0, i
		}
		size += n
	}
	return append(batches, muts[from:])
}

func mutationSize(m *op.Mutation) int { return len(m.Path) + len(m.Value) + 32 }
