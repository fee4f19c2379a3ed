package xmppd

import (
	"context"
	"sync/atomic"
	"time"
)

// refresher drops what is remembered of accounts when another server is connected, and tells their sessions what
// that one has changed before.
type refresher struct {
	due    chan struct{} // capacity 1
	passes atomic.Uint64 // that have ended
}

func newRefresher() *refresher { return &refresher{due: make(chan struct{}, 1)} }

// wake begins another pass, behind the one that runs.
func (r *refresher) wake() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// refreshAgain is how long to wait when the records can't be read.
const refreshAgain = time.Second

func (r *refresher) run(ctx context.Context, s *Server) {
	for {
		select {
		case <-r.due:
		case <-ctx.Done():
			return
		}
		err := s.im.Refresh(ctx)
		if r.passes.Add(1); err == nil || ctx.Err() != nil {
			continue
		}
		s.log.Warn("what another server has changed of accounts can't be read yet; sessions here may not know of it", "error", err)
		select {
		case <-time.After(refreshAgain):
		case <-ctx.Done():
		}
		r.wake()
	}
}
