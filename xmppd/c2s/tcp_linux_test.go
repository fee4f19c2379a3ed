package c2s

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKeepAlive: the kernel is told to ask a silent peer after the time configured, and to give up
// one that doesn't answer.
func TestKeepAlive(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // of a test
	s := &Server{}
	s.settings.Store(Settings{KeepAlive: 42 * time.Second}.withDefaults())
	setUserTimeout(c)
	s.keepAlive(c)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]struct{ level, option, want int }{
		"on":      {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		"idle":    {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 42},
		"give up": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000},
	} {
		var got int
		if cerr := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), o.level, o.option) }); cerr != nil || err != nil || got != o.want {
			t.Errorf("%s: %d, want %d; %v, %v", name, got, o.want, cerr, err)
		}
	}
}
