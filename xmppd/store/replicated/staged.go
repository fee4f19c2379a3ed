package replicated

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

// An update that is too large for one entry of the log goes in stages, as with a redo log:
//
//  1. Its batches are written as objects beside the records (pathStage), each on the condition that
//     nobody else has changed the root since. Nobody reads them yet.
//  2. One write sets rootState.staged to their number. With it the update is decided: whoever
//     opens the root next carries it out before anything else (open).
//  3. Each batch is executed on the condition that the decision stands; the last write takes the
//     decision and the stages away. Executing a batch twice changes nothing, since no path occurs
//     in two of them, and nobody writes anything else meanwhile.
//
// A server that stops during 1 leaves stages that nobody reads; the next such update of the root
// writes over them, or deletes those it does not need.

func stagePath(i int) string { return fmt.Sprintf("%s%04d", pathStage, i) }

// commitStaged executes batches, all or none.
func (s *Store) commitStaged(t *try, root string, p *prepared, batches [][]op.Mutation) error {
	total := 0
	for i := range p.muts {
		total += mutationSize(&p.muts[i])
	}
	if total > MaxUpdate || len(batches) > maxStages {
		return fmt.Errorf("%w: %d bytes; the limit is %d: change less in one update", ErrTooMuch, total, MaxUpdate)
	}
	revision := p.revision
	write := func(muts ...op.Mutation) (err error) {
		revision, err = s.write(t, root, op.Condition{Kind: op.VersionIs, Version: revision}, muts)
		return err
	}
	for i, b := range batches {
		if s.opt.faults.hastyStages {
			if err := write(b...); err != nil {
				return err
			}
		}
		if err := write(op.Mutation{Kind: op.Put, Path: stagePath(i), Value: appendBatch(nil, b)}); err != nil {
			return undecided(err)
		}
	}
	if s.opt.faults.stopStaging {
		return fmt.Errorf("%w: stopped", ErrUnavailable)
	}
	decided := rootState{large: p.state.large, staged: len(batches), decision: revision + 1}
	if err := write(op.Mutation{Kind: op.Put, Path: pathState, Value: decided.append(nil)}); err != nil {
		return err
	}
	if s.opt.faults.stopDecided {
		return nil
	}
	// It is done, whoever carries it out.
	if err := s.execute(t, root, p.state, batches, p.orphans, decided.decision); err != nil {
		s.log.Info("a large update is left to the next who opens the records", "err", err)
	}
	return nil
}

// undecided says what a failure means before the decision: even if it is not known whether a stage
// was written, nobody will ever read it.
func undecided(err error) error {
	if errors.Is(err, store.ErrUncertain) {
		return fmt.Errorf("%w: %w", ErrUnavailable, errors.New(err.Error()))
	}
	return err
}

// finish carries out what is decided in a root. Errors: those of try.ended.
func (s *Store) finish(t *try, root string, v snapshot, st rootState) error {
	batches := make([][]op.Mutation, st.staged)
	for i := range batches {
		b, ok, err := v.get(stagePath(i))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: a large update of %q lacks its part %d of %d", store.ErrCorrupt, root, i, st.staged)
		}
		if batches[i], err = parseBatch(b); err != nil {
			return err
		}
	}
	before := t.unknown
	err := s.execute(t, root, rootState{large: st.large}, batches, nil, st.decision)
	if t.unknown && !before {
		t.unknown = false // who carries it out does not matter
	}
	if errors.Is(err, store.ErrUncertain) {
		return undecided(err)
	}
	return err
}

// execute executes the batches of a decision, which is the version that pathState has.
func (s *Store) execute(t *try, root string, after rootState, batches [][]op.Mutation, orphans []string, decision uint64) error {
	stands := op.Condition{Kind: op.VersionIs, Version: decision}
	end := []op.Mutation{{Kind: op.Delete, Path: pathState, Cond: stands}}
	if after.large {
		end[0] = op.Mutation{Kind: op.Put, Path: pathState, Cond: stands, Value: after.append(nil)}
	}
	for i, b := range batches {
		muts := []op.Mutation{{Kind: op.Check, Path: pathState, Cond: stands}}
		for _, m := range b {
			if m.Path != pathState { // it comes last
				muts = append(muts, m)
			}
		}
		if _, err := s.write(t, root, op.Condition{}, muts); err != nil {
			return elsewhere(err)
		}
		end = append(end, op.Mutation{Kind: op.Delete, Path: stagePath(i)})
	}
	for _, path := range orphans {
		if len(end) < maxMutations && path >= stagePath(len(batches)) {
			end = append(end, op.Mutation{Kind: op.Delete, Path: path})
		}
	}
	_, err := s.write(t, root, op.Condition{}, end)
	return elsewhere(err)
}

// elsewhere: a decision that does not stand any more was carried out by another server.
func elsewhere(err error) error {
	if errors.Is(err, errConflict) {
		return nil
	}
	return err
}

func appendBatch(b []byte, muts []op.Mutation) []byte {
	b = binary.AppendUvarint(append(b, wireVersion), uint64(len(muts)))
	for i := range muts {
		b = appendMutation(b, &muts[i])
	}
	return b
}

func parseBatch(b []byte) ([]op.Mutation, error) {
	d := decoder{b: b}
	if d.byte() != wireVersion {
		return nil, fmt.Errorf("%w: a part of a large update is of another version", store.ErrNewerFormat)
	}
	muts := make([]op.Mutation, d.count(5))
	for i := range muts {
		muts[i] = d.mutation()
	}
	if d.end() != nil {
		return nil, fmt.Errorf("%w: a part of a large update", store.ErrCorrupt)
	}
	return muts, nil
}
