package replicated

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Cluster is the UUID of the cluster that this server's data belongs to, "" if it has none yet. Servers
// of two clusters must not take each other's messages.
func (s *Store) Cluster() string {
	if c := s.dir.Cluster(); c != "" {
		return c
	}
	if doc := s.ring.Load(); doc != nil {
		return doc.Cluster
	}
	return ""
}

// lost remembers the groups that could not be reached: who asks for them has less patience, so that
// clients get an error soon and not each after the whole time.
type lost struct {
	mu     sync.Mutex
	groups map[uint32]time.Time // when it was found out
}

// lostFor is how long a group is taken for lost after a failure.
const lostFor = 30 * time.Second

func (l *lost) add(group uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups == nil {
		l.groups = make(map[uint32]time.Time)
	}
	l.groups[group] = time.Now()
}

func (l *lost) found(group uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.groups, group)
}

// forget says that servers have come: any group may be reached again.
func (l *lost) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.groups)
}

func (l *lost) is(group uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.groups[group]
	return ok && time.Since(at) < lostFor
}

func (l *lost) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.groups {
		if time.Since(at) < lostFor {
			n++
		}
	}
	return n
}

// Lost reports whether what is kept for an owner could not be had within the last 30 seconds, nor has been since: whoever asks for
// it has to wait up to a second, and then for an error.
func (s *Store) Lost(owner string) bool {
	doc := s.ring.Load()
	return doc != nil && s.lost.is(doc.Partition(rootOf(owner)))
}

// watch looks at the groups that this server has a replica of.
type watch struct {
	mu    sync.Mutex
	since map[uint32]time.Time // when a group was first seen without a leader
}

// orphaned is how long a group has no leader before that is told: elections take less.
const orphaned = 5 * time.Second

func (w *watch) look(s *Store) {
	doc, self, now := s.ring.Load(), s.dir.Member(), time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range uint32(doc.Partitions) {
		_, led := s.node.LeaderOf(p)
		switch _, known := w.since[p]; {
		case led || !slices.Contains(doc.Group(p), self):
			delete(w.since, p)
		case !known:
			if w.since == nil {
				w.since = make(map[uint32]time.Time)
			}
			w.since[p] = now
		}
	}
}

func (w *watch) count() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.since {
		if time.Since(at) > orphaned {
			n++
		}
	}
	return n
}

// filled takes note that the disk is full, or has room again.
func (s *Store) filled(full bool) {
	if full {
		s.opt.Logger.Error("the disk is full: this server can't take changes of the cluster's data, which go to the others as long as they are a majority; make room", "directory", s.opt.Dir)
	} else {
		s.opt.Logger.Info("the disk has room again: this server gets the changes of the cluster's data that it lacks", "directory", s.opt.Dir)
	}
	if s.opt.Full != nil {
		s.opt.Full(full)
	}
}

// Health reports what users would notice, or will: ErrLeft; an error if files of the data directory are gone; ErrUnavailable if a part of the data can't be reached, or
// nothing is known of it yet.
func (s *Store) Health() error {
	if s.left.Load() {
		return ErrLeft
	}
	if err := s.files.check(); err != nil {
		return err
	}
	select {
	case <-s.ready:
	default:
		return fmt.Errorf("%w: the cluster's data was not seen yet", ErrUnavailable)
	}
	if n := max(s.lost.count(), s.watch.count()); n > 0 {
		return fmt.Errorf("%w: of %d of %d partitions of the data there is no majority", ErrUnavailable, n, s.ring.Load().Partitions)
	}
	return nil
}
