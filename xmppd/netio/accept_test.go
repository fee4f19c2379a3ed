package netio

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a listener that fails so many times before each connection, and then is closed.
type scripted struct{ failures, conns int }

func (s *scripted) Accept() (net.Conn, error) {
	switch {
	case s.failures > 0:
		s.failures--
		return nil, errors.New("too many open files")
	case s.conns > 0:
		s.conns--
		c, _ := net.Pipe()
		return c, nil
	}
	return nil, net.ErrClosed
}

func (s *scripted) Close() error   { return nil }
func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

// TestAcceptWaits: errors cost time and no connection, and a wait ends with the server.
func TestAcceptWaits(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	synctest.Test(t, func(t *testing.T) {
		begin, got := time.Now(), 0
		Accept(t.Context(), &scripted{failures: 10, conns: 3}, log, func(net.Conn) { got++ })
		if d := time.Since(begin); got != 3 || d < 2*time.Second || d > 4*time.Second {
			t.Errorf("%d connections after %v", got, d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin = time.Now()
		Accept(ctx, &scripted{failures: 1 << 20}, log, func(net.Conn) { got++ })
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}
