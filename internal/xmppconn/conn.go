package xmppconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/internal/rawio"
	"github.com/rosterdb/rosterdb/internal/stanza"
)

const (
	readBuffer  = 64 << 10 // bytes; grows to the largest stanza and shrinks again
	keepBuffer  = 1 << 20  // bytes; larger buffers are left to the collector
	closeWait   = time.Second
	streamClose = "</stream:stream>"
)

var errDead = errors.New("the server is silent and does not answer pings")

// Conn is one logged-in stream. It lives from Handler.Up to Handler.Down.
type Conn struct {
	jid  stanza.JID
	full string
	at   string // the server's address
	cfg  *Config
	nc   *byteConn

	filler Filler // nil: the Handler does not bundle

	reads atomic.Uint64 // successful reads; the watchdog's sign of life

	mu       sync.Mutex
	buf      []byte // waiting for the writer
	spare    []byte // the other buffer, empty; nil while it is being written
	writing  bool   // somebody writes: the writer, or Push
	inFlight int    // bytes being written
	closing  bool   // say farewell when buf is out
	err      error  // why the stream ended; Send fails from then on
	drained  sync.Cond

	wake chan struct{} // one token: there is something in buf, or closing, or err
}

func newConn(nc *byteConn, full string, j stanza.JID, cfg *Config) *Conn {
	c := &Conn{jid: j, full: full, cfg: cfg, nc: nc, wake: make(chan struct{}, 1)}
	c.drained.L = &c.mu
	return c
}

// JID returns the full JID as the server bound it.
func (c *Conn) JID() string { return c.full }

// Addr returns the address of the server as host:port: one of Config.Addrs, or where a
// server has sent the client.
func (c *Conn) Addr() string { return c.at }

// Send queues one stanza, or several in a row, and returns at once; the bytes
// are copied. Safe for concurrent use. Errors: ErrClosed, ErrOverflow. Nil says
// only that the bytes are queued.
func (c *Conn) Send(stanza []byte) error {
	first, err := c.enqueue(stanza)
	if first {
		c.Flush()
	}
	return err
}

// Queue is Send without waking the writer: Push or Flush has to follow.
func (c *Conn) Queue(stanza []byte) error {
	_, err := c.enqueue(stanza)
	return err
}

// Compose is Queue of what compose appends, most bytes at most: large stanzas are put together
// where they wait instead of being copied there. compose must not use the Conn.
func (c *Conn) Compose(most int, compose func([]byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(most); err != nil {
		return err
	}
	c.buf = compose(slices.Grow(c.buf, most))
	return nil
}

// Queued is how many bytes wait for the socket.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.buf) + c.inFlight
}

// Await has the queue written and waits until no more than most bytes wait, or the stream has ended. It must not be
// called by a Handler.
func (c *Conn) Await(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf)+c.inFlight > most && c.err == nil && !c.closing {
		c.Flush()
		c.drained.Wait()
	}
}

// enqueue also says whether nothing was queued before.
func (c *Conn) enqueue(stanza []byte) (first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.room(len(stanza)); err != nil {
		return false, err
	}
	first = len(c.buf) == 0
	c.buf = append(c.buf, stanza...)
	return first, nil
}

// room says whether so many bytes more may be queued. mu is held.
func (c *Conn) room(bytes int) error {
	if c.err != nil || c.closing {
		return ErrClosed
	}
	if len(c.buf)+c.inFlight+bytes > c.cfg.MaxQueue {
		return ErrOverflow
	}
	return nil
}

// Push writes what is queued from the goroutine that calls it, as far as that goes
// without waiting; the writer does the rest, and all of it where there is TLS. It saves
// the writer's wake-up, which costs as much as the write.
func (c *Conn) Push() {
	raw, ok := c.nc.Conn.(*rawio.Conn)
	if !ok || c.filler != nil {
		c.Flush()
		return
	}
	c.mu.Lock()
	if c.writing || c.closing || c.err != nil || len(c.buf) == 0 {
		more := len(c.buf) > 0
		c.mu.Unlock()
		if more {
			c.Flush()
		}
		return
	}
	b, _ := c.takeLocked()
	c.mu.Unlock()
	n, err := raw.WriteNow(b)
	if err != nil {
		c.fail(fmt.Errorf("write: %w", err))
	}
	c.mu.Lock()
	c.writing, c.inFlight = false, 0
	if n < len(b) {
		c.buf = append(slices.Clone(b[n:]), c.buf...)
	}
	if cap(b) <= keepBuffer {
		c.spare = b[:0]
	}
	more := len(c.buf) > 0 || c.closing
	c.drained.Broadcast()
	c.mu.Unlock()
	if more {
		c.Flush()
	}
}

// Flush wakes the writer. Send does so by itself.
func (c *Conn) Flush() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// serve runs the stream until it ends, and says why. It calls h from the
// calling goroutine, and ends the stream in good order when ctx ends.
func (c *Conn) serve(ctx context.Context, h Handler) error {
	done := make(chan struct{})
	var writer, watcher sync.WaitGroup
	c.filler, _ = h.(Filler)
	h.Up(c)
	writer.Go(c.writeLoop)
	watcher.Go(func() { c.watch(ctx, done) })
	err := c.readLoop(h)
	c.farewell()
	writer.Wait()
	c.fail(err)
	close(done)
	watcher.Wait()
	c.mu.Lock()
	err = c.err
	c.mu.Unlock()
	h.Down(err)
	return err
}

// fail ends the stream; the first reason stays.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.drained.Broadcast()
	c.mu.Unlock()
	c.nc.Close() //nolint:errcheck // it is gone either way
	c.Flush()
}

// farewell lets the writer send what is queued and the closing tag. The server
// then has closeWait to close its side (RFC 6120 section 4.4).
func (c *Conn) farewell() {
	c.mu.Lock()
	again := c.closing
	c.closing = true
	c.drained.Broadcast()
	c.mu.Unlock()
	if again {
		return
	}
	c.nc.SetDeadline(time.Now().Add(closeWait)) //nolint:errcheck // a dead connection fails by itself
	c.Flush()
}

func (c *Conn) writeLoop() {
	for range c.wake {
		// Whoever is ready to run may add to the batch first.
		runtime.Gosched()
		more, err := c.writeQueued()
		if err != nil {
			c.fail(fmt.Errorf("write: %w", err))
			return
		}
		if !more {
			return
		}
	}
}

// writeQueued writes until nothing is queued: everything that gathered during
// one write goes out in the next. False says that nothing will follow.
func (c *Conn) writeQueued() (more bool, err error) {
	for {
		b, ended, busy := c.takeQueued()
		if busy {
			return true, nil // Push wakes the writer when it is through
		}
		if c.filler != nil && !ended {
			b = c.filler.Fill(c, b)
		}
		if len(b) > 0 {
			_, err = c.nc.Write(b)
		}
		c.mu.Lock()
		c.writing, c.inFlight = false, 0
		if cap(b) <= keepBuffer {
			c.spare = b[:0]
		}
		c.drained.Broadcast()
		c.mu.Unlock()
		if err != nil || ended {
			return false, err
		} else if len(b) == 0 {
			return true, nil
		}
	}
}

// takeQueued gives the queue's buffer to the writer and puts the spare one in
// its place. ended says that these are the last bytes, the farewell included.
func (c *Conn) takeQueued() (b []byte, ended, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return nil, false, true
	}
	if c.err != nil {
		return nil, true, false
	}
	b, ended = c.takeLocked()
	return b, ended, false
}

func (c *Conn) takeLocked() (b []byte, ended bool) {
	b, c.buf, c.spare = c.buf, c.spare[:0], nil
	if c.closing {
		b = append(b, streamClose...)
	}
	c.writing, c.inFlight = true, len(b)
	return b, c.closing
}

// watch notices a dead peer: a ping after PingAfter of silence, the end after
// DeadAfter. Silence is counted in ticks, so that a process that was itself
// stopped for a while does not take the time for the peer's silence.
func (c *Conn) watch(ctx context.Context, done <-chan struct{}) {
	tick := max(min(c.cfg.PingAfter, c.cfg.DeadAfter)/4, time.Millisecond)
	t := time.NewTicker(tick)
	defer t.Stop()
	stop := ctx.Done()
	var silent time.Duration
	var seen uint64
	pinged := false
	for {
		select {
		case <-done:
			return
		case <-stop:
			stop = nil
			c.farewell()
		case <-t.C:
			if n := c.reads.Load(); n != seen {
				seen, silent, pinged = n, 0, false
				continue
			}
			if silent += tick; silent >= c.cfg.DeadAfter {
				c.fail(fmt.Errorf("%w (%v)", errDead, silent))
			} else if silent >= c.cfg.PingAfter && !pinged {
				pinged = true
				// A full queue is no reason to end before DeadAfter.
				c.Send([]byte(ping)) //nolint:errcheck // silence will tell
			}
		}
	}
}

func (c *Conn) readLoop(h Handler) error {
	// A server bounds what clients send, and passes on more than that: it adds who has sent it, and when. A
	// client with the same bounds could be thrown out by anybody who may write to it.
	limits := stanza.Unlimited()
	if c.cfg.faults.ownLimits {
		limits = stanza.Limits{}
	}
	scanner := stanza.NewScanner(limits)
	buf, start := make([]byte, 0, readBuffer), 0
	for {
		if start == len(buf) {
			buf, start = buf[:0], 0
			if cap(buf) > keepBuffer {
				buf = make([]byte, 0, readBuffer)
			}
		} else if cap(buf)-len(buf) < readBuffer/4 {
			grown := buf[:0]
			if rest := len(buf) - start; rest > cap(buf)/2 {
				grown = make([]byte, 0, 2*cap(buf))
			}
			buf, start = append(grown, buf[start:]...), 0
		}
		n, err := c.nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n > 0 {
			c.reads.Add(1)
			for start < len(buf) {
				st, used, err := scanner.Next(buf[start:])
				if err != nil {
					return c.protocolError(err)
				}
				start += used
				if st != nil {
					if err := c.handle(h, st); err != nil {
						return err
					}
				} else if used == 0 {
					break
				}
			}
			h.Idle(c)
		}
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
}

// protocolError tells the server what is wrong with its stream (RFC 6120
// section 4.9).
func (c *Conn) protocolError(err error) error {
	condition := "not-well-formed"
	var e *stanza.Error
	if errors.As(err, &e) {
		condition = e.Condition
	}
	c.Send([]byte(`<stream:error><` + condition + ` xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`)) //nolint:errcheck // the stream ends anyway
	return fmt.Errorf("what the server sent is not acceptable: %w", err)
}
