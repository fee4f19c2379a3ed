package websocket

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
)

// TestAbortOutlastsNegotiation: the reader of a stream that somebody has ended finds out, though the end
// of the negotiation lifts all deadlines.
func TestAbortOutlastsNegotiation(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close() //nolint:errcheck // of a test
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close() //nolint:errcheck // of a test
	low, err := c2s.NewWriter(near)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(near, low, new(sync.Pool))
	w.Abort()
	_ = near.SetDeadline(time.Time{}) // as c2s does it when the resource is bound
	stuck := time.AfterFunc(10*time.Second, func() { _ = far.Close() })
	defer stuck.Stop()
	w.readDeadline(time.Hour)
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the reader of an aborted stream waits: %v", err)
	}
}
