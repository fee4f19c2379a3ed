package web_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/c2s"
	"github.com/rosterdb/rosterdb/xmppd/web"
)

func TestPeer(t *testing.T) {
	proxies, err := web.ParseProxies([]string{"10.0.0.0/8", "192.0.2.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		remote, forwarded, proto string
		tls                      bool
		want                     c2s.Peer
	}{
		"direct":                 {"198.51.100.7:1", "", "", false, c2s.Peer{Addr: "198.51.100.7"}},
		"direct TLS":             {"198.51.100.7:1", "", "", true, c2s.Peer{Addr: "198.51.100.7", Secure: true}},
		"a stranger's word":      {"198.51.100.7:1", "203.0.113.9", "https", false, c2s.Peer{Addr: "198.51.100.7"}},
		"proxy":                  {"10.1.2.3:1", "203.0.113.9", "https", false, c2s.Peer{Addr: "203.0.113.9", Secure: true}},
		"proxy without TLS":      {"10.1.2.3:1", "203.0.113.9", "http", true, c2s.Peer{Addr: "203.0.113.9"}},
		"proxy that says little": {"10.1.2.3:1", "", "", false, c2s.Peer{Addr: "10.1.2.3"}},
		"invented in front":      {"10.1.2.3:1", "1.1.1.1, 203.0.113.9", "https", false, c2s.Peer{Addr: "203.0.113.9", Secure: true}},
		"two proxies":            {"[::1]:1", "203.0.113.9, 192.0.2.1", "https", false, c2s.Peer{Addr: "203.0.113.9", Secure: true}},
		"nonsense":               {"10.1.2.3:1", "203.0.113.9, what", "https", false, c2s.Peer{Addr: "10.1.2.3", Secure: true}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = tc.remote
		if tc.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		if tc.proto != "" {
			r.Header.Set("X-Forwarded-Proto", tc.proto)
		}
		if got := proxies.Peer(r); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	if _, err := web.ParseProxies([]string{"proxy.example"}); err == nil {
		t.Error("a name was taken for a proxy's address")
	}
}

func TestOrigins(t *testing.T) {
	for _, tc := range []struct {
		list   []string
		origin string
		allow  bool
		echo   string
	}{
		{nil, "https://a.example", true, "*"},
		{[]string{"*"}, "https://a.example", true, "*"},
		{[]string{"https://a.example"}, "https://A.example", true, "https://A.example"},
		{[]string{"https://a.example"}, "http://a.example", false, ""},
		{[]string{"https://a.example"}, "null", false, ""},
		{[]string{"https://a.example"}, "", true, ""},
	} {
		o, err := web.ParseOrigins(tc.list)
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			r := httptest.NewRequest(method, "/bosh", http.NoBody)
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			w := httptest.NewRecorder()
			o.CORS("POST", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })).ServeHTTP(w, r)
			want := http.StatusOK
			switch {
			case !tc.allow:
				want = http.StatusForbidden
			case method == http.MethodOptions:
				want = http.StatusNoContent
			}
			if w.Code != want || o.Allow(r) != tc.allow || w.Header().Get("Access-Control-Allow-Origin") != tc.echo {
				t.Errorf("%v, %s of %q: %d %v", tc.list, method, tc.origin, w.Code, w.Header())
			}
		}
	}
	for _, bad := range []string{"a.example", "https://a.example/x", "https://"} {
		if _, err := web.ParseOrigins([]string{bad}); err == nil {
			t.Errorf("%q was taken for an origin", bad)
		}
	}
}

func TestHostMeta(t *testing.T) {
	for _, tc := range []struct {
		url  string
		tls  bool
		want []string
	}{
		{"https://chat.example.net/x/", false, []string{"wss://chat.example.net/x/ws", "https://chat.example.net/x/bosh"}},
		{"", false, []string{"ws://example.com/ws", "http://example.com/bosh"}},
		{"", true, []string{"wss://example.com/ws", "https://example.com/bosh"}},
	} {
		m := web.HostMeta{URL: tc.url}
		for path, h := range map[string]http.HandlerFunc{"/.well-known/host-meta": m.XML, "/.well-known/host-meta.json": m.JSON} {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			if !tc.tls {
				r.TLS = nil
			} else {
				r.TLS = &tls.ConnectionState{}
			}
			w := httptest.NewRecorder()
			h(w, r)
			got := w.Body.String()
			for _, s := range append(tc.want, "urn:xmpp:alt-connections:websocket", "urn:xmpp:alt-connections:xbosh") {
				if !strings.Contains(got, s) {
					t.Errorf("%s with %q: no %q in %s", path, tc.url, s, got)
				}
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s: %v", path, w.Header())
			}
		}
	}
	if web.CheckURL("chat.example.net") == nil || web.CheckURL("https://chat.example.net") != nil {
		t.Error("CheckURL takes the wrong ones")
	}
}
