package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns both ends of a connection on loopback.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing depends on it
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() }) //nolint:errcheck // nothing depends on it
	return Wrap(a), Wrap(b)
}

func TestMoreThanTheSocketTakes(t *testing.T) {
	a, b := pair(t)
	want := bytes.Repeat([]byte("rosterdb"), 4<<20/8*5)
	failed := make(chan error, 1)
	go func() {
		_, err := a.Write(want)
		failed <- errors.Join(err, a.Close())
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

// TestWriteNow: it stops where the socket is full, and what it took is what the other end gets.
func TestWriteNow(t *testing.T) {
	a, b := pair(t)
	c, ok := a.(*Conn)
	if !ok {
		t.Skip("no raw connections on this system")
	}
	want := bytes.Repeat([]byte("rosterdb"), 64<<20/8)
	n, err := c.WriteNow(want)
	if err != nil || n == 0 || n == len(want) {
		t.Fatalf("%d of %d bytes at once, %v", n, len(want), err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, want[:n]) {
		t.Errorf("%d bytes of %d, %v", len(got), n, err)
	}
}

func TestDeadlineAndClose(t *testing.T) {
	a, _ := pair(t)
	if err := a.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
