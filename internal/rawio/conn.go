package rawio

import (
	"io"
	"net"
	"runtime"
	"syscall"
)

// Conn is a TCP connection that is read and written by Read and Write. Waiting,
// deadlines and Close are those of the connection underneath.
type Conn struct {
	net.Conn
	raw syscall.RawConn
}

// Wrap returns c as a *Conn, or c itself where that can't be.
func Wrap(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok || runtime.GOOS == "windows" {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return &Conn{Conn: c, raw: raw}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	var failed error
	err := c.raw.Read(func(fd uintptr) bool {
		for {
			n, failed = Read(fd, p)
			if failed != syscall.EINTR {
				return failed != syscall.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: failed}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	done, failed := 0, error(nil)
	err := c.raw.Write(func(fd uintptr) bool {
		done, failed = write(fd, p, done)
		return failed != syscall.EAGAIN
	})
	return done, c.written(err, failed)
}

// WriteNow writes as much as goes without waiting.
func (c *Conn) WriteNow(p []byte) (int, error) {
	done, failed := 0, error(nil)
	err := c.raw.Write(func(fd uintptr) bool {
		done, failed = write(fd, p, 0)
		return true
	})
	if failed == syscall.EAGAIN {
		failed = nil
	}
	return done, c.written(err, failed)
}

// write goes on behind done.
func write(fd uintptr, p []byte, done int) (int, error) {
	for done < len(p) {
		n, err := Write(fd, p[done:])
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return done, err
		default:
			done += n
		}
	}
	return done, nil
}

func (c *Conn) written(err, failed error) error {
	if err == nil && failed != nil {
		err = &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: failed}
	}
	return err
}
