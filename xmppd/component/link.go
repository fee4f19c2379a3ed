package component

import (
	"context"
	"crypto/sha1" //nolint:gosec // the handshake of XEP-0114 is defined with SHA-1
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"time"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/module"
	"github.com/rosterdb/rosterdb/xmppd/session"
	"github.com/rosterdb/rosterdb/xmppd/xmlstream"
)

const (
	lingerTime = 2 * time.Second // for the last words of a stream
)

// errEnd: the peer has closed its stream.
var errEnd = errors.New("stream closed by the component")

// link is one connection of a component. Its run owns it; out and gone are for others.
type link struct {
	srv    *Server
	conn   net.Conn
	in     xmlstream.Reader
	domain string
	sess   *session.Session // as which the router sees the component
	detach func()           // guarded by Server.mu
	gone   chan struct{}    // closed when the link is detached and everything of it returned
	batch  session.Batch
}

func (k *link) out() *session.Outbox { return &k.sess.Out }

// run serves the connection from the header to its end.
func (k *link) run() {
	ctx := context.Background()
	k.in = xmlstream.Reader{Conn: k.conn, Budget: xmlstream.Unbounded, Scan: stanza.NewScanner(k.srv.cfg.Limits)}
	err := k.login()
	k.srv.settled(k)
	if err != nil {
		k.srv.cfg.Log.Info("component not connected", "domain", k.domain, "peer", k.conn.RemoteAddr(), "reason", err)
		k.refuse(err)
		_ = k.conn.Close()
		return
	}
	k.srv.cfg.Log.Info("component connected", "domain", k.domain, "peer", k.conn.RemoteAddr())
	err = k.serve(ctx)
	k.finish(ctx, err)
	_ = k.conn.Close()
}

// login takes header and handshake (XEP-0114 section 3).
func (k *link) login() error {
	to, err := readHeader(&k.in)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	k.domain = to
	if _, err := io.WriteString(k.conn, header(to, id)); err != nil {
		return err
	}
	secret, known := k.srv.cfg.Secrets[to]
	if !known {
		k.srv.metrics.failed.Inc()
		return &module.StreamError{Condition: "host-unknown", Text: "no component of that name is configured"}
	}
	st, err := next(&k.in)
	if err != nil {
		return err
	}
	p := stanza.Parse(st.Raw)
	p.Next()
	if st.Kind != stanza.Nonza || string(p.Name()) != "handshake" {
		return &module.StreamError{Condition: "not-authorized", Text: "the handshake comes first"}
	}
	want := sha1.Sum([]byte(id + secret)) //nolint:gosec // see above
	proof := []byte(hex.EncodeToString(want[:]))
	if subtle.ConstantTimeCompare(p.Content(), proof) != 1 && !k.srv.cfg.Faults.AnySecret {
		k.srv.metrics.failed.Inc()
		return &module.StreamError{Condition: "not-authorized", Text: "the handshake does not fit the secret"}
	}
	k.srv.settled(k)
	return k.attach()
}

// attach makes the link a domain of the router. The handshake's answer is the first thing in the
// queue, for stanzas may follow at once.
func (k *link) attach() error {
	k.gone = make(chan struct{})
	k.sess = session.New(stanza.JID{Domain: k.domain})
	k.sess.Out.Init(&k.srv.chunks, &transport{conn: k.conn}, k.srv.cfg.MaxQueue, func(f func()) bool {
		k.srv.wg.Go(f)
		return true
	})
	k.batch.Send(k.sess, []byte("<handshake/>"), nil, nil, nil)
	_ = k.conn.SetDeadline(time.Time{}) // before others can end the link, which sets one
	if err := k.srv.take(k); err != nil {
		return err
	}
	k.batch.Flush()
	return nil
}

// refuse tells a component why it can't connect.
func (k *link) refuse(err error) {
	var se *module.StreamError
	var timeout net.Error
	switch {
	case errors.As(err, &se):
	case errors.As(err, &timeout) && timeout.Timeout():
		se = &module.StreamError{Condition: "connection-timeout"}
	default:
		return
	}
	_ = k.conn.SetDeadline(time.Now().Add(lingerTime))
	var out []byte
	if k.domain == "" {
		out = append(out, header("", "none")...)
	}
	if _, err := k.conn.Write(xmlstream.AppendError(out, se)); err == nil {
		linger(k.conn)
	}
}

// serve routes what the component sends until its stream ends.
func (k *link) serve(ctx context.Context) error {
	for {
		st, err := next(&k.in)
		if err != nil {
			return err
		}
		k.srv.metrics.received.Inc()
		if se := k.srv.cfg.Router.RouteFrom(ctx, k.sess, st, &k.batch); se != nil {
			return se
		}
		if len(k.in.Rest()) == 0 {
			k.batch.Flush()
		}
	}
}

// Receive implements module.Domain.
func (k *link) Receive(_ context.Context, p *module.Passage) error {
	if !p.Batch.Send(k.sess, withoutNamespace(p.Bytes()), nil, nil, nil) {
		return &module.Error{Type: "wait", Condition: "remote-server-timeout", Text: "the component does not read"}
	}
	k.srv.metrics.handed.Inc()
	return nil
}

// finish detaches the link, says why, and returns what was not written to its senders.
func (k *link) finish(ctx context.Context, err error) {
	k.batch.Flush()
	k.srv.release(k)
	if reason := k.out().Reason(); reason != nil {
		err = reason
	}
	k.srv.cfg.Log.Info("component disconnected", "domain", k.domain, "reason", err)
	var se *module.StreamError
	var last []byte
	switch {
	case errors.As(err, &se):
		last = xmlstream.AppendError(nil, se)
	case errors.Is(err, errEnd):
		last = []byte("</stream:stream>")
	}
	_ = k.conn.SetDeadline(time.Now().Add(lingerTime))
	said := last != nil && k.out().Finish(last, lingerTime)
	k.out().Fail(session.ErrClosed)
	left, written := k.out().Close()
	var b session.Batch
	k.srv.cfg.Router.Return(ctx, k.sess, left, written, &b)
	b.Flush()
	close(k.gone)
	if said {
		linger(k.conn)
	}
}

// linger closes our half and reads on for a while: closing at once would make the kernel reset the
// connection, and the peer could lose the last words.
func linger(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(lingerTime))
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c, 1<<20)
}
