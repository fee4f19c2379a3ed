package component

import (
	"context"
	"crypto/sha1" //nolint:gosec // the handshake of XEP-0114
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// hasty is a router in which a link is ended as soon as it is attached.
type hasty struct{}

func (hasty) RouteFrom(context.Context, *session.Session, *stanza.Stanza, *session.Batch) *module.StreamError {
	return nil
}

func (hasty) Attach(_ string, d module.Domain) (func(), error) {
	d.(*link).out().Fail(errShutdown) //nolint:forcetypeassert // of this package
	return func() {}, nil
}

func (hasty) Return(context.Context, *session.Session, [][]byte, int, *session.Batch) {}

// TestEndedAtOnce: a link that is ended in the moment in which it is attached ends.
func TestEndedAtOnce(t *testing.T) {
	s := New(Config{Log: slog.New(slog.DiscardHandler), Router: hasty{}, Secrets: map[string]string{"c.example": "s"}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // of a test
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintf(conn, "<stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' to='c.example'>", nsComponent); err != nil {
		t.Fatal(err)
	}
	var got string
	for !strings.Contains(got, "id='") || !strings.HasSuffix(got, ">") {
		buf := make([]byte, 1000)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	id := regexp.MustCompile(` id='([^']+)'`).FindStringSubmatch(got)[1]
	sum := sha1.Sum([]byte(id + "s")) //nolint:gosec // see above
	if _, err := fmt.Fprintf(conn, "<handshake>%s</handshake>", hex.EncodeToString(sum[:])); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the link goes on: %v", err)
	}
	_ = conn.Close()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
