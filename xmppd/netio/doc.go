// Package netio waits for many TCP connections, in one of two ways that behave alike.
//
// Goroutines gives each connection a goroutine, which the runtime's poller wakes: it works
// everywhere. EventLoop (Linux) waits for all of them with a few loops on epoll: an idle connection
// then costs its descriptor and a small struct, and neither stack nor buffer.
//
// The caller gives a connection away with Adopt, writes to it at once, and lets it be read with
// Start: its Handler is called whenever there may be bytes, by one goroutine at a time. A Handler
// reads until ErrAgain. Before it does what may block (a disk, a lock that is held meanwhile) it
// calls Runner.Leave: with an event loop others would wait for it else.
package netio

import (
	"errors"
	"net"
	"time"
)

// ErrAborted is what waits, reads and writes return after Conn.Abort.
var ErrAborted = errors.New("connection aborted")

// ErrAgain says that there is nothing to read, or no room to write, at the moment. It is a
// temporary net.Error, which crypto/tls takes for a reason to be asked again.
var ErrAgain error = again{}

type again struct{}

func (again) Error() string   { return "not ready" }
func (again) Timeout() bool   { return false }
func (again) Temporary() bool { return true }

var _ net.Error = again{}

// Conn is a connection whose reads and writes don't wait. One goroutine at a time reads and one
// writes; Abort and Wake may be called by anybody at any time, Close only when nobody does either.
type Conn interface {
	// Read reads what is there, or returns ErrAgain, io.EOF, ErrAborted or why it can't.
	Read(p []byte) (int, error)
	// Write writes what the kernel takes; ErrAgain with a short count.
	Write(p []byte) (int, error)
	// ReadWait and WriteWait wait: for any bytes until a time, and for room for all of p. ReadWait is
	// for Handler.End.
	// They return ErrAborted after Abort, ReadWait os.ErrDeadlineExceeded when the time is over.
	ReadWait(p []byte, until time.Time) (int, error)
	WriteWait(p []byte) (int, error)
	// Abort makes everything but Close return ErrAborted, and the Handler be called.
	Abort()
	Aborted() bool
	// Resume takes Abort back, for last words.
	Resume()
	// Wake makes the Handler be called though no bytes have come.
	Wake()
	// CloseWrite ends our half of the connection.
	CloseWrite() error
	Close() error
}

// Handler takes what comes in on a connection.
type Handler interface {
	// Ready is called when there may be something to read, and says what it wants next.
	Ready(r *Runner) Next
	// End is called once when Ready has returned Done. It may block, and closes the connection.
	End()
}

// Next is what becomes of a connection after Handler.Ready.
type Next uint8

// What a Handler asks for.
const (
	Wait Next = iota // call again when something has come
	Soon             // call again after the others: more may be there already
	Done             // never call Ready again
)

// Runner runs Handlers, one after the other.
type Runner struct {
	// Local is for the Handlers: those that a Runner runs in one round share it.
	Local any

	left  bool
	leave func(*Runner)
	after func()
}

// AfterRound sets what is called when the Handlers of all connections that were ready have run.
func (r *Runner) AfterRound(f func()) { r.after = f }

func (r *Runner) endRound() {
	if r.after != nil {
		r.after()
	}
}

// Leave makes the goroutine that runs the Handler an ordinary one until the Handler returns: it may
// block, and the other connections are served by another one. Calling it again does nothing.
func (r *Runner) Leave() {
	if r.left || r.leave == nil {
		return
	}
	r.left = true
	r.endRound()
	r.leave(r)
}

// Strategy is a way to wait.
type Strategy interface {
	// Adopt takes over a TCP connection: conn must not be used afterwards. Deadlines that were set
	// don't count any more.
	Adopt(conn net.Conn) (Conn, error)
	// Start lets h read c, which Adopt of the same Strategy has returned, and calls it once at the
	// beginning.
	Start(c Conn, h Handler)
	// Close ends the waiting, when all connections that were started are done.
	Close() error
}
