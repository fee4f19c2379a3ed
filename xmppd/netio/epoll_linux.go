package netio

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rosterdb/rosterdb/internal/rawio"
)

const (
	eventsAtOnce = 128
	// Edges: the kernel tells a change once, so neither waiting for room to write nor a connection
	// whose handler is busy needs further system calls.
	interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	input    = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	ending   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	output   = unix.EPOLLOUT | unix.EPOLLHUP | unix.EPOLLERR
)

// NewEventLoop returns the Strategy that waits with loops on epoll; 0: as many as Go runs threads.
func NewEventLoop(loops int) (Strategy, error) {
	if loops <= 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	e := &eventLoop{}
	e.close = sync.OnceValue(e.end)
	for range loops {
		l, err := newLoop(&e.wg)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.loops = append(e.loops, l)
		e.wg.Go(func() { l.run() })
	}
	return e, nil
}

type eventLoop struct {
	loops []*loop
	next  atomic.Uint32
	wg    sync.WaitGroup
	close func() error
}

// Adopt implements Strategy. The descriptor is duplicated and conn closed, which takes it off the
// runtime's poller: that would wake up for every packet, too.
func (e *eventLoop) Adopt(conn net.Conn) (Conn, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection of type %T has no descriptor", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("descriptor of the connection: %w", err)
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, fmt.Errorf("descriptor of the connection: %w", err)
	}
	if dupErr != nil {
		return nil, fmt.Errorf("duplicate the descriptor of a connection: %w", dupErr)
	}
	if err := conn.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("take a connection off the poller: %w", err), unix.Close(fd))
	}
	return &loopConn{fd: fd, loop: e.loops[e.next.Add(1)%uint32(len(e.loops))]}, nil //nolint:gosec // few
}

// Start implements Strategy.
func (e *eventLoop) Start(conn Conn, h Handler) {
	c := conn.(*loopConn) //nolint:forcetypeassert // of Adopt
	c.h = h
	c.state.Store(idle)
	if err := c.loop.add(c); err != nil {
		c.failure.Store(&err)
	}
	c.Wake()
}

// Close implements Strategy. Calling it again returns what the first call has.
func (e *eventLoop) Close() error { return e.close() }

func (e *eventLoop) end() error {
	for _, l := range e.loops {
		l.closing.Store(true)
		l.interrupt()
	}
	e.wg.Wait()
	var errs []error
	for _, l := range e.loops {
		errs = append(errs, l.file.Close(), unix.Close(l.wakefd))
	}
	return errors.Join(errs...)
}

// loop waits for a share of the connections. The goroutine that runs it owns n to later; it hands
// them on in leave.
type loop struct {
	wg           *sync.WaitGroup
	epfd, wakefd int
	file         *os.File // of epfd
	raw          syscall.RawConn
	ask          func(uintptr) bool // poll, bound once
	closing      atomic.Bool

	n      int  // events of the last poll
	stay   bool // poll returns without events, too
	events [eventsAtOnce]unix.EpollEvent
	ready  []*loopConn // have something to read
	at     int         // up to here they were served
	later  []*loopConn // have more to read, after the others

	mu     sync.Mutex
	slots  []*loopConn // what events name
	free   []int32     // unused slots
	serial int32       // tells the connections of one slot apart
	woken  []*loopConn // by Wake
	told   bool        // wakefd is written
}

func newLoop(wg *sync.WaitGroup) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(epfd, true) // so that the runtime's poller takes it
	}
	if err != nil {
		return nil, fmt.Errorf("make an epoll descriptor: %w", err)
	}
	l := &loop{wg: wg, epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll")}
	l.ask = l.poll
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for an epoll descriptor: %w", err), l.file.Close())
	}
	l.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, l.wakefd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a descriptor to wake up by: %w", err), l.file.Close())
	}
	return l, nil
}

// add begins to wait for a connection.
func (l *loop) add(c *loopConn) error {
	l.mu.Lock()
	if n := len(l.free); n > 0 {
		c.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.slot = int32(len(l.slots)) //nolint:gosec // descriptors are fewer
		l.slots = append(l.slots, nil)
	}
	l.slots[c.slot] = c
	l.serial++
	c.serial = l.serial
	l.mu.Unlock()
	ev := unix.EpollEvent{Events: interest, Fd: c.slot, Pad: c.serial}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
		return fmt.Errorf("wait for a connection: %w", err)
	}
	return nil
}

// remove forgets a connection that is about to be closed, which takes it off epoll.
func (l *loop) remove(c *loopConn) {
	l.mu.Lock()
	if int(c.slot) < len(l.slots) && l.slots[c.slot] == c {
		l.slots[c.slot] = nil
		l.free = append(l.free, c.slot)
	}
	l.mu.Unlock()
}

// wake has a connection served though nothing has come.
func (l *loop) wake(c *loopConn) {
	l.mu.Lock()
	l.woken = append(l.woken, c)
	tell := !l.told
	l.told = true
	l.mu.Unlock()
	if tell {
		l.interrupt()
	}
}

func (l *loop) interrupt() {
	one := [8]byte{7: 1} // any number but 0, in either order of bytes
	_, _ = rawio.Write(uintptr(l.wakefd), one[:])
}

// run waits and serves, until Close or until a Handler leaves: then another goroutine has gone on.
func (l *loop) run() {
	r := &Runner{leave: l.leave}
	for {
		for l.at < len(l.ready) {
			c := l.ready[l.at]
			l.ready[l.at] = nil
			l.at++
			if c.serve(r); r.left {
				r.endRound()
				return
			}
		}
		r.endRound()
		l.ready, l.at = append(l.ready[:0], l.later...), 0
		l.later = l.later[:0]
		if l.closing.Load() {
			return
		}
		l.wait(len(l.ready) > 0)
		l.collect()
	}
}

// leave lets another goroutine run the loop.
func (l *loop) leave(*Runner) { l.wg.Go(func() { l.run() }) }

// collect notes which connections have something to read, and tells waiting writers.
func (l *loop) collect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.events[:l.n] {
		ev := &l.events[i]
		if ev.Fd < 0 {
			var drained [8]byte
			_, _ = rawio.Read(uintptr(l.wakefd), drained[:])
			continue
		}
		c := l.slots[ev.Fd]
		if c == nil || c.serial != ev.Pad {
			continue // closed since
		}
		if c.notify(ev.Events) {
			l.ready = append(l.ready, c)
		}
	}
	l.ready = append(l.ready, l.woken...)
	clear(l.woken)
	l.woken, l.told = l.woken[:0], false
}

// wait waits for events; with work left it only asks for them. The runtime's poller does the
// waiting, by watching the epoll descriptor itself: a goroutine that waits in a system call of its
// own keeps the runtime's monitor awake, which costs more than the whole rest
// (docs/adr/0011-event-loop.md).
func (l *loop) wait(left bool) {
	l.n, l.stay = 0, left
	_ = l.raw.Read(l.ask) // fails after Close only
}

func (l *loop) poll(fd uintptr) bool {
	l.n = pollNow(fd, l.events[:])
	return l.n != 0 || l.stay
}
