package xmppconn

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/xmppconn/xmppconntest"
)

// startPair runs two streams; the returned function ends them and gives RunPair's error.
func startPair(t *testing.T, cfg Config, a, b *recorder) (stop func() error) {
	t.Helper()
	cfg.JID, cfg.Password, cfg.Resource, cfg.InsecurePlaintext = "ann@localhost/one", "secret", "one", true
	cfg.OnRetry = func(err error, _ time.Duration) {
		for _, r := range []*recorder{a, b} {
			r.note(func() { r.retries = append(r.retries, err) })
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- RunPair(ctx, cfg, "two", a, b) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { stop() }) //nolint:errcheck // the test looks at it if it cares
	return stop
}

// TestPair: two streams are to two servers, each under its resource; when one server goes
// its stream finds a third, and never the other one's.
func TestPair(t *testing.T) {
	for _, planted := range []bool{false, true} {
		x, y := serve(t, xmppconntest.Options{}), serve(t, xmppconntest.Options{})
		a, b := newRecorder(), newRecorder()
		stop := startPair(t, Config{Addrs: []string{x.Addr(), y.Addr()}, faults: faults{sameServer: planted}}, a, b)
		a.until(t, "first login", func() bool { return len(a.up) == 1 })
		b.until(t, "second login", func() bool { return len(b.up) == 1 })
		if a.conn().Addr() != x.Addr() || b.conn().Addr() != y.Addr() || a.conn().JID() != "ann@localhost/one" || b.conn().JID() != "ann@localhost/two" {
			t.Errorf("%s at %s and %s at %s", a.conn().JID(), a.conn().Addr(), b.conn().JID(), b.conn().Addr())
		}
		y.Close()
		b.until(t, "two attempts, or a login", func() bool { return len(b.retries) > 2 || len(b.up) > 1 })
		if same := len(b.up) > 1; same != planted {
			t.Errorf("planted %v, both at one server %v", planted, same)
		}
		if len(a.down) > 0 {
			t.Error("the first stream went down, too")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestPairFindsThird(t *testing.T) {
	x, y, z := serve(t, xmppconntest.Options{}), serve(t, xmppconntest.Options{}), serve(t, xmppconntest.Options{})
	a, b := newRecorder(), newRecorder()
	startPair(t, Config{Addrs: []string{x.Addr(), y.Addr(), z.Addr()}}, a, b)
	a.until(t, "first login", func() bool { return len(a.up) == 1 })
	b.until(t, "second login", func() bool { return len(b.up) == 1 })
	x.Close()
	a.until(t, "another login", func() bool { return len(a.up) == 2 })
	if at := a.conn().Addr(); at != z.Addr() {
		t.Errorf("at %s, want the third server, %s", at, z.Addr())
	}
}

// TestPairOfOne: with one server there is one stream.
func TestPairOfOne(t *testing.T) {
	x := serve(t, xmppconntest.Options{})
	a, b := newRecorder(), newRecorder()
	stop := startPair(t, Config{Addrs: []string{x.Addr()}}, a, b)
	a.until(t, "login", func() bool { return len(a.up) == 1 })
	if err := stop(); err != nil || len(b.up) > 0 {
		t.Errorf("%v, %d logins of a second stream", err, len(b.up))
	}
}

func TestPairRefused(t *testing.T) {
	x := serve(t, xmppconntest.Options{Accounts: map[string]string{"ann": "other"}})
	y := serve(t, xmppconntest.Options{Accounts: map[string]string{"ann": "other"}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg := Config{JID: "ann@localhost", Password: "secret", InsecurePlaintext: true, Addrs: []string{x.Addr(), y.Addr()}}
	if err := RunPair(ctx, cfg, "two", newRecorder(), newRecorder()); !errors.Is(err, ErrAuth) || strings.Count(err.Error(), ErrAuth.Error()) != 1 {
		t.Errorf("%v, want ErrAuth, once", err)
	}
}

// TestPairIsNotSentTogether: a stream that a server sends to the server of the other stream, by whatever name, stays.
func TestPairIsNotSentTogether(t *testing.T) {
	for _, name := range []string{"127.0.0.1", "localhost"} {
		for _, planted := range []bool{false, true} {
			x := serve(t, xmppconntest.Options{})
			_, port, err := net.SplitHostPort(x.Addr())
			if err != nil {
				t.Fatal(err)
			}
			y := serve(t, xmppconntest.Options{Redirect: func(r xmppconntest.Redirect) string {
				if r.Hops != "" {
					return ""
				}
				return net.JoinHostPort(name, port)
			}})
			a, b := newRecorder(), newRecorder()
			startPair(t, Config{Addrs: []string{x.Addr(), y.Addr()}, faults: faults{sameServer: planted}}, a, b)
			a.until(t, "first login", func() bool { return len(a.up) == 1 })
			b.until(t, "second login", func() bool { return len(b.up) == 1 })
			both := map[bool]int{}
			for _, r := range []*recorder{a, b} {
				both[r.conn().Addr() == y.Addr()]++
			}
			if together := both[true] != 1; together != planted {
				t.Errorf("%s, planted %v: %s and %s", name, planted, a.conn().Addr(), b.conn().Addr())
			}
		}
	}
}

// TestPairSentToThird: a server that nobody is at is as good as another.
func TestPairSentToThird(t *testing.T) {
	x, z := serve(t, xmppconntest.Options{}), serve(t, xmppconntest.Options{})
	y := serve(t, xmppconntest.Options{Redirect: (&asked{to: always(z.Addr())}).redirect})
	a, b := newRecorder(), newRecorder()
	startPair(t, Config{Addrs: []string{x.Addr(), y.Addr()}}, a, b)
	a.until(t, "first login", func() bool { return len(a.up) == 1 })
	b.until(t, "second login", func() bool { return len(b.up) == 1 })
	if a.conn().Addr() != x.Addr() || b.conn().Addr() != z.Addr() {
		t.Errorf("at %s and %s, want %s and %s", a.conn().Addr(), b.conn().Addr(), x.Addr(), z.Addr())
	}
}
