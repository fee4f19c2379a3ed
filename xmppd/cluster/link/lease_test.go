package link

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// slowly is a connection whose bytes come after a while.
type slowly struct {
	net.Conn
	parts []part
	acks  int
}

type part struct {
	after time.Duration
	bytes []byte
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	next := s.parts[0]
	s.parts = s.parts[1:]
	time.Sleep(next.after) // in a bubble of synctest
	return copy(p, next.bytes), nil
}

func (s *slowly) Write(p []byte) (int, error)      { s.acks++; return len(p), nil }
func (s *slowly) SetReadDeadline(time.Time) error  { return nil }
func (s *slowly) SetWriteDeadline(time.Time) error { return nil }

// late gives a server frames that come some time behind a heartbeat, and reports whether it takes them.
func late(t *testing.T, after time.Duration, f Faults) (took bool, err error) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		m := New(Config{Name: "b", Silence: 4 * time.Second, Log: slog.New(slog.DiscardHandler), Faults: f})
		defer m.cancel()
		m.Handle(kept, Handler{Receive: func(string, []byte) { took = true }})
		conn := &slowly{parts: []part{{time.Second, appendFrame(nil, heartbeat, nil)}, {after, appendFrame(nil, kept, []byte("x"))}}}
		in := &incoming{conn: conn, records: newRecords(conn)}
		err = in.read(newPeer(m, "a"))
		if took != (conn.acks == 2) {
			t.Errorf("taken: %v, acknowledgements: %d", took, conn.acks)
		}
	})
	return took, err
}

// TestFrozenServerTakesNothingOld: its peers have given up what they wrote while it stood still.
func TestFrozenServerTakesNothingOld(t *testing.T) {
	if took, err := late(t, 3100*time.Millisecond, Faults{}); took || err != errFrozen { //nolint:errorlint // as it is
		t.Errorf("taken: %v, error: %v", took, err)
	}
	if took, _ := late(t, 2900*time.Millisecond, Faults{}); !took {
		t.Error("not taken, though the sender still waits")
	}
	if took, _ := late(t, 3100*time.Millisecond, Faults{NoLease: true}); !took {
		t.Error("the planted bug does not show")
	}
}
