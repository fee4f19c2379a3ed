package link

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// outgoing is a stream to a peer.
type outgoing struct {
	conn        *tls.Conn
	stream      uint64
	incarnation uint64 // of the peer's process
	asked       uint64 // a stream before, and how many of its frames the peer has
	before      uint64

	mu      sync.Mutex
	sent    uint64 // frames
	written uint64 // frames; sent counts those of the write under way, too
	acked   uint64 // frames
	unacked []batch
	bytes   int // of unacked
	room    chan struct{}
}

// dial opens a stream, and asks how much of an earlier one has come.
func (m *Mesh) dial(ctx context.Context, name, addr string, asks, of uint64) (*outgoing, error) {
	select {
	case m.dials <- struct{}{}:
		defer func() { <-m.dials }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	first, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	raw, err := m.cfg.Dial(first, addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn := tls.Client(raw, m.clientTLS(name))
	ctx, cancel = context.WithTimeout(ctx, helloTime)
	defer cancel()
	out, err := m.greet(ctx, conn, name, asks, of)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return out, nil
}

func (m *Mesh) greet(ctx context.Context, conn *tls.Conn, name string, asks, of uint64) (*outgoing, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, explain(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("name a stream: %w", err)
	}
	stream := binary.BigEndian.Uint64(id[:])
	if err := writeHello(conn, &hello{
		Major: Major, Minor: Minor, Cluster: m.cfg.Cluster, From: m.cfg.Name, To: name,
		Incarnation: m.cfg.Incarnation, Data: m.cfg.Data(), Stream: stream, Asks: asks, AsksOf: of,
	}); err != nil {
		return nil, err
	}
	a, err := readHello(conn)
	switch {
	case err != nil:
		return nil, err
	case a.Refused != "":
		return nil, &RefusedError{a.Refused, a.Text}
	case a.Major != Major && !m.cfg.Faults.AnyVersion, !m.cfg.sameData(a.Data):
		return nil, m.cfg.refuse(a)
	}
	_ = conn.SetDeadline(time.Time{})
	out := &outgoing{conn: conn, stream: stream, incarnation: a.Incarnation, asked: asks, room: make(chan struct{}, 1)}
	if a.Known {
		out.before = a.Received
	}
	return out, nil
}

// write writes what comes together in the peer's queue, and heartbeats while there is nothing.
func (o *outgoing) write(ctx context.Context, p *peer) error {
	beat := time.NewTicker(p.m.cfg.Silence / 8)
	defer beat.Stop()
	silent := true
	for {
		if err := o.await(ctx, p.m.cfg.Window); err != nil {
			return err
		}
		b := p.q.take()
		if b.frames == 0 {
			select {
			case <-p.q.wake:
				continue
			case <-beat.C:
				if !silent {
					silent = true
					continue
				}
				b = batch{appendFrame(nil, heartbeat, nil), 1, false}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		silent = false
		o.note(b)
		_ = o.conn.SetWriteDeadline(time.Now().Add(p.m.cfg.Silence))
		if _, err := o.conn.Write(b.b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		o.wrote(b)
		p.counts.sent(&b)
	}
}

// await waits until the peer has acknowledged enough. What comes meanwhile gathers in the queue.
func (o *outgoing) await(ctx context.Context, window int) error {
	for {
		o.mu.Lock()
		ok := o.bytes < window
		o.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-o.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// note keeps a batch that is about to be written, until it is acknowledged.
func (o *outgoing) note(b batch) {
	o.mu.Lock()
	o.unacked = append(o.unacked, b)
	o.bytes += len(b.b)
	o.sent += uint64(b.frames) //nolint:gosec // of a batch
	o.mu.Unlock()
}

// wrote takes note that a batch is with the network.
func (o *outgoing) wrote(b batch) {
	o.mu.Lock()
	o.written += uint64(b.frames) //nolint:gosec // of a batch
	o.mu.Unlock()
}

// ackSize is the size of an acknowledgement: how many frames of the stream have come, big-endian.
const ackSize = 8

// readAcks takes note of what the peer acknowledges, and that it lives.
func (o *outgoing) readAcks(p *peer) error {
	r := bufio.NewReaderSize(o.conn, 64*ackSize)
	var ack [ackSize]byte
	for {
		if r.Buffered() < ackSize {
			_ = o.conn.SetReadDeadline(time.Now().Add(p.m.cfg.Silence))
		}
		if _, err := io.ReadFull(r, ack[:]); err != nil {
			return gone(err, "acknowledgements", p.m.cfg.Silence)
		}
		if err := o.ack(binary.BigEndian.Uint64(ack[:]), &p.q); err != nil {
			return err
		}
	}
}

var errAck = errors.New("the server acknowledges what it can't have")

// ack drops what the peer has.
func (o *outgoing) ack(n uint64, q *queue) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n > o.sent || n < o.acked {
		return errAck
	}
	for len(o.unacked) > 0 {
		b := &o.unacked[0]
		if o.acked+uint64(b.frames) > n { //nolint:gosec // of a batch
			break
		}
		o.acked += uint64(b.frames) //nolint:gosec // of a batch
		o.bytes -= len(b.b)
		if o.acked <= o.written { // else the writer may hold it still
			q.recycle(b)
		}
		o.unacked[0] = batch{}
		o.unacked = o.unacked[1:]
	}
	select {
	case o.room <- struct{}{}:
	default:
	}
	return nil
}

// idle reports whether the peer has everything that was written.
func (o *outgoing) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.unacked) == 0
}

// rest is what the peer has not acknowledged, and how many frames came before. The stream has ended.
func (o *outgoing) rest() (unacked []batch, first uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unacked, o.acked
}

// gone says why reading has failed.
func gone(err error, what string, silence time.Duration) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return fmt.Errorf("nothing was heard of it for %s", silence)
	}
	return fmt.Errorf("read %s: %w", what, err)
}
