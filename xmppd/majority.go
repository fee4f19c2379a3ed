package xmppd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/store/replicated"
)

// errNoMajority: too many of the servers that have the records are cut off.
var errNoMajority = errors.New("no majority of servers")

// recordsHealth is that of the records: as soon as links tell that a part of them has no majority, and not only when users have noticed.
// Links tell of all partitions, as status does; the store of those that it has a copy of, or has asked for. Copies on full disks count:
// they can be read.
func (s *Server) recordsHealth() error {
	err := s.replicas.Health()
	if err != nil && !errors.Is(err, replicated.ErrUnavailable) || s.faults.unlinked {
		return err
	}
	if lost := s.replicas.Risk(s.reaches).Lost; lost > 0 {
		return fmt.Errorf("%w: of %d of %d partitions of the data there is no majority: %s can't be reached",
			replicated.ErrUnavailable, lost, s.replicas.Status().Partitions, strings.Join(s.missed(""), ", "))
	}
	return err
}

// missed are the servers that are cut off, if without them there is no majority of those that have the records of an account; of any, for
// an empty name.
func (s *Server) missed(name string) (away []string) {
	switch {
	case s.replicas == nil:
		return nil
	case name != "":
		return s.replicas.Missed(name, s.reaches)
	case s.replicas.Risk(s.reaches).Lost == 0:
		return nil
	}
	for _, server := range s.replicas.names() {
		if !s.reaches(server) {
			away = append(away, server)
		}
	}
	return away
}

// lostFor is how long what an operator has asked for goes on after the servers that it needs were cut off: they may be back at once.
const lostFor = time.Second

// whileReached does what an operator asks for about an account (all, for an empty name), as long as a majority of the servers that have
// its records is there. The error says who is not, and whether anything may have been changed.
func (s *Server) whileReached(ctx context.Context, name string, f func(context.Context) error) error {
	if name != "" {
		prepared, err := s.accounts.Prepare(name)
		if err != nil || s.replicas == nil {
			return f(ctx) // it says what is wrong with the name
		}
		name = prepared
	}
	if away := s.missed(name); len(away) > 0 {
		return fmt.Errorf("%w: %s do not answer; nothing was changed", errNoMajority, strings.Join(away, ", "))
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.callOff(ctx, name, cancel) })
	err := f(ctx)
	cancel()
	watching.Wait()
	if away := s.missed(name); err != nil && len(away) > 0 {
		return fmt.Errorf("%w: %s do not answer: %w", errNoMajority, strings.Join(away, ", "), err)
	}
	return err
}

// callOff cancels what needs servers that have been cut off for a while.
func (s *Server) callOff(ctx context.Context, name string, cancel context.CancelFunc) {
	t := time.NewTicker(lostFor / 10)
	defer t.Stop()
	var since time.Time
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		switch {
		case len(s.missed(name)) == 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= lostFor:
			cancel()
			return
		}
	}
}
