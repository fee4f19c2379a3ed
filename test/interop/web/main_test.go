// Package web drives clients of browsers, strophe.js and converse.js in headless Chromium, and xmpp.js in
// Node, against an xmppd process over WebSocket and BOSH, through connections that break.
package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/interop"
)

// binary is the ringctl under test; TestMain builds it.
var binary string

func TestMain(m *testing.M) { harness.Main(m, &binary) }

// needModule skips the test unless an npm module is there.
func needModule(t *testing.T, name string) {
	t.Helper()
	_, err := os.Stat(filepath.Join("node_modules", filepath.FromSlash(name)))
	interop.Need(t, err == nil, name, "npm ci in test/interop/web")
}

// server is an xmppd with web listeners, where alice and bob are in one another's roster.
type server struct {
	*interop.Server
	http  *relay // in front of the listener for web clients, plain
	https *relay // the same through TLS
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{Server: interop.Start(t, binary, "listen_http = \"127.0.0.1:0\"\nlisten_https = \"127.0.0.1:0\"\n[web.bosh]\ninactivity_seconds = 20\nwait_seconds = 10\n", "alice", "bob")}
	s.http, s.https = newRelay(t, s.Addr(t, "http")), newRelay(t, s.Addr(t, "https"))
	out, err := exec.CommandContext(t.Context(), binary, "xmppd", "roster", "set", "--data", s.Data, "--name", "Bob", "--subscription", "both", "alice", "bob@"+harness.Domain).CombinedOutput()
	if err == nil {
		out, err = exec.CommandContext(t.Context(), binary, "xmppd", "roster", "set", "--data", s.Data, "--name", "Alice", "--subscription", "both", "bob", "alice@"+harness.Domain).CombinedOutput()
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

// pages serves the folder pages and the npm modules, from another origin than the server's.
func pages(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("pages")))
	mux.Handle("/node_modules/", http.StripPrefix("/node_modules/", http.FileServer(http.Dir("node_modules"))))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// background is the context of what outlives the test's own one, such as its clean-up.
func background() context.Context { return context.Background() }
