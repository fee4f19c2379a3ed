package xmppconn

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

// TestConflictEndsRun: who is thrown out by another login under its address ends, and does not fight for its place.
func TestConflictEndsRun(t *testing.T) {
	var logins atomic.Int64
	again := make(chan struct{}, 1)
	s := serve(t, xmppconntest.Options{Login: func(s *xmppconntest.Session) {
		if logins.Add(1) == 2 {
			close(again)
		}
		s.Send([]byte(`<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>newer login</text></stream:error></stream:stream>`))
	}})
	err := Run(t.Context(), Config{JID: "ann@localhost", Password: "x", Addrs: []string{s.Addr()}, InsecurePlaintext: true}, newRecorder())
	if !errors.Is(err, ErrReplaced) || !strings.Contains(err.Error(), "newer login") {
		t.Errorf("Run: %v, want ErrReplaced with the server's text", err)
	}
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins: it fights for its place", n)
	}
	// The seeded fault does.
	logins.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{JID: "ann@localhost", Password: "x", Addrs: []string{s.Addr()}, InsecurePlaintext: true, faults: faults{fights: true}}, newRecorder())
	}()
	select {
	case <-again:
	case err := <-ended:
		t.Fatalf("the seeded fault was not noticed: it ended with %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
