package netio

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"
)

// Accept hands each connection to take until the listener is closed or the context ends. An error,
// usually that no file descriptors are left, is logged and waited for: up to a second, until some have
// come back.
func Accept(ctx context.Context, l net.Listener, log *slog.Logger, take func(net.Conn)) {
	var pause time.Duration
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			log.Warn("can't accept connections", "listener", l.Addr(), "error", err, "retry", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		default:
			pause = 0
			take(conn)
		}
	}
}
