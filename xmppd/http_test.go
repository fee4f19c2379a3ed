package xmppd_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/xmppd"
)

// TestHealth: a server whose data was taken away says so.
func TestHealth(t *testing.T) {
	data := t.TempDir()
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Data, c.ListenHTTP = data, "127.0.0.1:0" }})
	_, _, addr := s.Addrs()
	status := func() int {
		t.Helper()
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("a server that is well: %d", got)
	}
	file := filepath.Join(data, "xmppd.db")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("without its file: %d", got)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("with another file: %d", got)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("with its file again: %d", got)
	}
}

// TestNoSecondRequestBehindChunks: what a proxy takes for the content of a request is none of its own.
func TestNoSecondRequestBehindChunks(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.ListenHTTP = "127.0.0.1:0" }})
	_, _, addr := s.Addrs()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	const second = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	if _, err := fmt.Fprintf(conn, "POST /bosh HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", len(second)+5, second); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp, err := http.ReadResponse(in, nil); err == nil {
		_ = resp.Body.Close()
		t.Errorf("the second request was answered: %s", resp.Status)
	}
}
