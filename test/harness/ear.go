package harness

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// Ear reads all that a stream brings, from now on, beside what the test does. The stream itself may only be
// written to then.
type Ear struct {
	*Stream
	mu    sync.Mutex
	heard bytes.Buffer
	ended bool
}

// Listen begins to read. It ends with the connection.
func Listen(c *Stream) *Ear {
	e := &Ear{Stream: c}
	_ = c.Conn.SetReadDeadline(time.Time{})
	go func() {
		buf := make([]byte, 32<<10)
		for {
			n, err := c.Conn.Read(buf)
			e.mu.Lock()
			e.heard.Write(buf[:n])
			e.ended = err != nil
			e.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return e
}

// Heard is what has come so far.
func (e *Ear) Heard() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard.String()
}

// Count tells how often a text has come.
func (e *Ear) Count(text string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return bytes.Count(e.heard.Bytes(), []byte(text))
}

// Ended reports whether the connection has.
func (e *Ear) Ended() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}

// Await waits until a text has come n times.
func (e *Ear) Await(t testing.TB, text string, n int) {
	t.Helper()
	Eventually(t, startTimeout, "it hears "+text, func() bool { return e.Count(text) >= n })
}
