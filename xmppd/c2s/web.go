package c2s

import (
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"net"
	"sync"
	"time"

	"mellium.im/xmpp/stream"

	"github.com/rosterdb/rosterdb/xmppd/netio"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// FillHeader fills what a Framing's Open has read: the attributes of a stream header, "" where one
// is missing. The error is a *router.StreamError.
func FillHeader(in *stream.Info, to, from, version string) error {
	start := xml.StartElement{Name: xml.Name{Space: stream.NS, Local: "stream"}}
	for _, a := range []struct{ name, value string }{{"to", to}, {"from", from}, {"version", version}} {
		if a.value != "" {
			start.Attr = append(start.Attr, xml.Attr{Name: xml.Name{Local: a.name}, Value: a.value})
		}
	}
	*in = stream.Info{}
	if err := in.FromStartElement(start); err != nil {
		return headerError(err)
	}
	return nil
}

// Writer is the session.Transport of a connection that has another reader than this package, such
// as one of HTTP that was upgraded. It writes without waiting.
type Writer struct {
	session.Transport
	tap *tap
}

// NewWriter makes the Writer of a TCP connection, or of a *tls.Conn that a listener of ListenTLS
// has accepted. From now on only the Writer may write.
func NewWriter(conn net.Conn) (*Writer, error) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		c, err := shareConn(conn)
		return &Writer{Transport: &wire{conn: c}}, err
	}
	t, ok := secure.NetConn().(*tap)
	if !ok {
		return nil, fmt.Errorf("TLS on a connection of type %T, which no listener of ListenTLS has accepted", secure.NetConn())
	}
	c, err := shareConn(t.Conn)
	if err != nil {
		return nil, err
	}
	t.hold()
	return &Writer{Transport: &tlsWire{wire: wire{conn: c}, tls: secure, tap: t}, tap: t}, nil
}

// shared is a connection that somebody else reads, with deadlines: Abort is one.
type shared struct {
	netio.Conn
	conn net.Conn
}

func shareConn(conn net.Conn) (netio.Conn, error) {
	setUserTimeout(conn)
	c, err := netio.NewGoroutines().Adopt(conn)
	return &shared{Conn: c, conn: conn}, err
}

// Abort makes what waits return; a later deadline takes it back.
func (s *shared) Abort() { _ = s.conn.SetDeadline(time.Unix(1, 0)) }

// Release gives the connection back to whoever closes it.
func (w *Writer) Release() {
	if w.tap != nil {
		w.tap.release()
	}
}

// ListenTLS makes TLS of the connections of a listener, such that NewWriter can be used on them.
func ListenTLS(l net.Listener, cfg *tls.Config) net.Listener {
	return &tlsListener{Listener: l, cfg: cfg}
}

type tlsListener struct {
	net.Listener
	cfg    *tls.Config
	sealed sync.Pool // *[]byte of taps
}

func (l *tlsListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(&tap{Conn: conn, pool: &l.sealed}, l.cfg), nil
}
