// Package sweep removes what has grown too old from a store, a little at a time.
package sweep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// Sweeper goes round the owners of a collection.
type Sweeper struct {
	Store      store.Store
	Collection string
	Every      time.Duration // between two rounds; the first one begins after it
	Pause      time.Duration // between two steps that have found something
	// Step removes some of what is too old of an owner, so much that nobody waits long for it. It
	// tells whether there may be more.
	Step func(ctx context.Context, owner string) (more bool, err error)
	Log  *slog.Logger
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	for wait(ctx, s.Every) {
		if err := s.round(ctx); err != nil && !errors.Is(err, ctx.Err()) {
			s.Log.Error("what is too old could not be removed", "collection", s.Collection, "error", err)
		}
	}
}

func (s *Sweeper) round(ctx context.Context) error {
	var bad error
	err := s.Store.Owners(ctx, s.Collection, "", func(owner string) bool {
		for more := true; more && bad == nil; {
			more, bad = s.Step(ctx, owner)
			if more && !wait(ctx, s.Pause) {
				bad = ctx.Err()
			}
		}
		return bad == nil
	})
	return errors.Join(bad, err)
}

// wait reports false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
