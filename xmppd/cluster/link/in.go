package link

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// incoming is a stream of a peer.
type incoming struct {
	conn     net.Conn
	records  *records // below conn
	hello    *hello
	received uint64 // frames, acknowledged and handled or about to be; of the goroutine that reads
}

func (in *incoming) close() { _ = in.conn.Close() }

// accept takes the streams of peers.
func (m *Mesh) accept() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			select {
			case <-m.closing:
				return
			case <-time.After(100 * time.Millisecond): // such as when files have run out
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			m.notices.Warn("a connection of another server can't be accepted", "error", err)
			continue
		}
		select {
		case m.strangers <- struct{}{}:
			m.wg.Go(func() {
				m.welcome(conn)
				<-m.strangers
			})
		default:
			m.cfg.Refused(reasonFlood)
			m.notices.Warn("too many connections at once on the cluster's port: some are closed", "peer", conn.RemoteAddr())
			_ = conn.Close()
		}
	}
}

// welcome finds out who has connected, and hands the stream to that peer's goroutine.
func (m *Mesh) welcome(raw net.Conn) {
	ctx, cancel := context.WithTimeout(m.ctx, helloTime)
	defer cancel()
	below := newRecords(raw)
	conn := tls.Server(below, m.serverTLS())
	in, err := m.identify(ctx, conn)
	if err == nil {
		m.cfg.Identified(raw)
		in.records = below
		err = m.handOver(ctx, in)
	}
	if err == nil {
		return
	}
	var refused *RefusedError
	if errors.As(err, &refused) {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_ = writeHello(conn, &hello{
			Major: Major, Minor: Minor, Cluster: m.cfg.Cluster, From: m.cfg.Name, To: in.hello.From,
			Refused: refused.Reason, Text: refused.Text,
		})
	}
	_ = conn.Close()
	m.notWelcome(raw, err)
}

// errName: the certificate is another server's.
var errName = errors.New("it says that it is")

// identify negotiates TLS and reads the hello. With a *RefusedError it returns the stream, too.
func (m *Mesh) identify(ctx context.Context, conn *tls.Conn) (*incoming, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, explain(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	h, err := readHello(conn)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errHello, err)
	}
	leaf := conn.ConnectionState().PeerCertificates[0]
	if err := leaf.VerifyHostname(h.From); err != nil && !m.cfg.Faults.AnyName {
		return nil, fmt.Errorf("%w %.100q, and its certificate does not: %w", errName, h.From, err)
	}
	in := &incoming{conn: conn, hello: h}
	if r := m.cfg.refuse(h); r != nil && !(r.Reason == refusedVersion && m.cfg.Faults.AnyVersion) {
		return in, r
	}
	if r := m.cfg.skewed(h, time.Now()); r != nil {
		return in, r
	}
	_ = conn.SetDeadline(time.Time{})
	return in, nil
}

func (m *Mesh) handOver(ctx context.Context, in *incoming) error {
	unknown := &RefusedError{refusedUnknown, fmt.Sprintf("server %s has not heard yet of a member %s", m.cfg.Name, in.hello.From)}
	p := m.peer(in.hello.From)
	if p == nil {
		return unknown
	}
	select {
	case p.accepts <- in:
		return nil
	case <-p.retired:
		return unknown
	case <-m.closing:
	case <-ctx.Done():
	}
	return &RefusedError{refusedBusy, fmt.Sprintf("server %s is not ready", m.cfg.Name)}
}

// answer accepts the stream, and tells how much of the one before has come.
func (in *incoming) answer(cfg *Config, had lastStream) error {
	a := &hello{
		Major: Major, Minor: Minor, Cluster: cfg.Cluster, From: cfg.Name, To: in.hello.From,
		Incarnation: cfg.Incarnation, Data: cfg.Data(), Stream: in.hello.Stream,
	}
	if in.hello.Asks != 0 && in.hello.AsksOf == cfg.Incarnation && in.hello.Asks == had.stream {
		a.Known, a.Received = true, had.frames
	}
	_ = in.conn.SetWriteDeadline(time.Now().Add(helloTime))
	return writeHello(in.conn, a)
}

// errFrozen ends a stream of whose silence the peer must have thought that this server is dead.
var errFrozen = errors.New("this server has stood still: what had come for it was given up by the sender")

const readBuffer = 64 << 10

// read acknowledges and handles frames until the stream ends.
func (in *incoming) read(p *peer) error {
	cfg := &p.m.cfg
	buf, end := make([]byte, readBuffer), 0
	// What the peer has waited for longer than Silence it has given up, and it waits from when it has
	// written. So nothing is taken that comes too long behind what came last.
	lease, last := cfg.Silence*3/4, time.Now()
	for {
		if !cfg.Faults.NoLease {
			_ = in.conn.SetReadDeadline(time.Now().Add(cfg.Silence))
		}
		n, err := in.fill(buf[end:])
		if err != nil {
			return gone(err, "frames", cfg.Silence)
		}
		end += n
		frames, size, err := cutAll(buf[:end])
		if err != nil {
			return err
		}
		now := time.Now()
		if now.Sub(last) > lease && !cfg.Faults.NoLease {
			return errFrozen
		}
		last = now
		if frames > 0 {
			if err := in.ack(frames, cfg); err != nil {
				return err
			}
			p.counts.got(frames, size)
			p.m.handle(p.name, buf[:size])
			p.counts.handled.Add(uint64(frames)) //nolint:gosec // of a buffer
		}
		end = copy(buf, buf[size:end])
		if end == len(buf) { // a frame that is longer
			buf = append(buf, make([]byte, len(buf))...)
		} else if end == 0 && len(buf) > keepBatch {
			buf = make([]byte, readBuffer)
		}
	}
}

// fill reads what has come, and waits until something has. crypto/tls returns one record after the other: an
// acknowledgement for each would cost more than what it is for.
func (in *incoming) fill(buf []byte) (n int, err error) {
	for n < len(buf) && (n == 0 || in.records.whole()) {
		k, err := in.conn.Read(buf[n:])
		n += k
		if err != nil && n == 0 {
			return 0, err //nolint:wrapcheck // the caller says what was read
		}
		if err != nil {
			break // it comes again
		}
	}
	return n, nil
}

// ack tells the peer that frames have come. They are handled from then on, whatever happens.
func (in *incoming) ack(frames int, cfg *Config) error {
	if cfg.Faults.AckLate {
		return nil
	}
	var ack [ackSize]byte
	n := in.received + uint64(frames) //nolint:gosec // of a buffer
	binary.BigEndian.PutUint64(ack[:], n)
	_ = in.conn.SetWriteDeadline(time.Now().Add(cfg.Silence))
	if _, err := in.conn.Write(ack[:]); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	in.received = n
	return nil
}

// handle gives whole frames to their channels.
func (m *Mesh) handle(from string, b []byte) {
	for len(b) > 0 {
		ch, payload, n, _ := cutFrame(b) // it was looked at before
		b = b[n:]
		if f := m.handlers[ch].Receive; f != nil {
			f(from, payload)
		}
		m.passed[ch].in.Add(1)
	}
	for _, f := range m.pauses {
		f(from)
	}
}
