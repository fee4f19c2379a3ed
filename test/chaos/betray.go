package chaos

import (
	"context"
	"time"
)

// A planted mistake shows only when it is met at its moment. So that nobody hopes
// for that, the fault that meets it waits: disks begin to lie, or syncs to take long,
// or answers to be held back, and it strikes when a writer has been told of a write
// that began since, or answers wait everywhere.

const (
	// longSync is how long a sync takes while an early acknowledgement is awaited.
	longSync = 3 * time.Second
	// betrayWithin is how long the moment may take to come on a slow machine. The
	// fault strikes in any case.
	betrayWithin = 30 * time.Second
)

// beforePowerCut prepares disks for a mistake that a cut of the power shows.
func (l *lane) beforePowerCut(ctx context.Context) {
	for _, id := range l.stage.ids() {
		switch d := l.stage.node(id).disk; l.stage.plant {
		case LyingDisk:
			d.SetLying(true)
		case AckBeforeFsync:
			d.SetSyncTime(longSync)
		default:
			return
		}
	}
	// The first acknowledgement may be of a write that was under way before.
	from := l.acks()
	l.await(ctx, func() bool {
		for i, n := range l.acks() {
			if n >= from[i]+2 {
				return true
			}
		}
		return false
	})
}

// afterPowerCut makes the disks as they were.
func (l *lane) afterPowerCut(syncTime time.Duration) {
	for _, id := range l.stage.ids() {
		if d := l.stage.node(id).disk; d != nil {
			d.SetLying(false)
			d.SetSyncTime(syncTime)
		}
	}
}

// dropAnswers breaks the clients' connections when answers wait in all of them: what
// was done is asked for again.
func (l *lane) dropAnswers(ctx context.Context) {
	k := l.stage.clients[0] // planted mistakes have one server
	k.mute(true)
	l.await(ctx, k.muffled)
	k.drop()
	k.mute(false)
}

// await polls until ok, for betrayWithin at most.
func (l *lane) await(ctx context.Context, ok func() bool) {
	ctx, cancel := context.WithTimeout(ctx, betrayWithin)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Millisecond): // the pause of a poll
		}
	}
}
