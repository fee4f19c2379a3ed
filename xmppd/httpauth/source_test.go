package httpauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/httpauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source starts a source that asks a server with the given handler.
func source(t *testing.T, h http.HandlerFunc, change func(*httpauth.Config)) *httpauth.Source {
	t.Helper()
	srv := httptest.NewServer(h)
	cfg := httpauth.Config{
		Domain: "example.net", PasswordURL: srv.URL + "/password", KeysURL: srv.URL + "/keys", ExistsURL: srv.URL + "/exists",
		Secret: "s3cret", Timeout: time.Minute, Decoy: func() []byte { return []byte("decoy") },
		Log: slog.New(slog.DiscardHandler), Metrics: httpauth.NewMetrics(prometheus.NewRegistry()),
	}
	if change != nil {
		change(&cfg)
	}
	s := httpauth.New(cfg)
	t.Cleanup(func() { s.Close(); srv.Close() })
	return s
}

func TestQuestions(t *testing.T) {
	k256, k1, err := account.Derive("pencil", 5000)
	if err != nil {
		t.Fatal(err)
	}
	s := source(t, func(w http.ResponseWriter, r *http.Request) {
		var q struct{ User, Domain, Password string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Domain != "example.net" || r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer s3cret" || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "wrong question", http.StatusTeapot)
			return
		}
		switch {
		case q.User == "refused":
			w.WriteHeader(http.StatusUnauthorized)
		case q.User != "alice":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/keys":
			_ = json.NewEncoder(w).Encode(map[string]account.Keys{"scram_sha_256": k256, "scram_sha_1": k1})
		default:
			_, _ = fmt.Fprintf(w, `{"ok":%v,"more":"ignored"}`, r.URL.Path == "/exists" || q.Password == "pencil")
		}
	}, nil)
	ctx := t.Context()
	for _, tt := range []struct {
		user, password string
		want           bool
	}{{"alice", "pencil", true}, {"alice", "wrong", false}, {"bob", "pencil", false}, {"refused", "pencil", false}} {
		if ok, err := s.Password(ctx, tt.user, tt.password); ok != tt.want || err != nil {
			t.Errorf("password of %s: %v, %v", tt.user, ok, err)
		}
		if ok, err := s.Exists(ctx, tt.user); ok != (tt.user == "alice") || err != nil {
			t.Errorf("%s exists: %v, %v", tt.user, ok, err)
		}
	}
	g256, g1, exists, err := s.Keys(ctx, "alice")
	if err != nil || !exists || !g256.VerifyPassword("pencil") || string(g1.StoredKey) != string(k1.StoredKey) {
		t.Errorf("keys: %+v %+v %v %v", g256, g1, exists, err)
	}
	d256, _, exists, err := s.Keys(ctx, "bob")
	again, _, _, _ := s.Keys(ctx, "bob")
	if err != nil || exists || d256.Iterations != 5000 || string(d256.Salt) != string(again.Salt) || len(d256.Salt) != 16 || d256.VerifyPassword("pencil") {
		t.Errorf("decoy: %+v %v %v", d256, exists, err)
	}
}

// TestBadAnswers: what is no clear answer is never a yes.
func TestBadAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"no JSON":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) },
		"no verdict": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"other type": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ok":"yes"}`)) },
		"error": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"ok":true}`, http.StatusInternalServerError)
		},
		"created": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"ok":true}`))
		},
		"forbidden": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden) // a wrong secret is no wrong password
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/yes", http.StatusTemporaryRedirect)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("x", 1<<20) + `","ok":true}`))
		},
		"cut off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"keys too small": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"scram_sha_256":{"salt":"AAAA","iterations":4096,"stored_key":"","server_key":""}}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/yes" {
					t.Error("a redirect was followed with the password")
				}
				h(w, r)
			}, func(c *httpauth.Config) {
				c.PasswordURL = strings.Replace(c.PasswordURL, "://", "://user:hidden@", 1) + "?token=query"
			})
			ok, passwordErr := s.Password(t.Context(), "alice", "x")
			if ok || !errors.Is(passwordErr, httpauth.ErrUnavailable) {
				t.Errorf("password: %v, %v", ok, passwordErr)
			}
			if name == "forbidden" && !strings.Contains(fmt.Sprint(passwordErr), "auth.secret_file") {
				t.Errorf("not told what to do: %v", passwordErr)
			}
			if err := fmt.Sprint(passwordErr); strings.Contains(err, "query") || strings.Contains(err, "hidden") {
				t.Errorf("the error shows secrets: %s", err)
			}
			if _, _, ok, err := s.Keys(t.Context(), "alice"); name == "keys too small" && (ok || !errors.Is(err, httpauth.ErrUnavailable)) {
				t.Errorf("keys: %v, %v", ok, err)
			}
		})
	}
}

// value is what a metric says, the one with a label of that value if there are several.
func value(t *testing.T, r *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// TestDeadSource: after a few failures nobody waits for a source that doesn't answer, and it is
// found again when it does.
func TestDeadSource(t *testing.T) {
	var asked atomic.Int64
	release := make(chan struct{})
	var log bytes.Buffer // nothing writes while it is read: questions are asked one after the other
	registry := prometheus.NewRegistry()
	s := source(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-release:
			_, _ = w.Write([]byte(`{"ok":true}`))
		case <-r.Context().Done():
		}
	}, func(c *httpauth.Config) {
		c.Timeout, c.AtOnce = 50*time.Millisecond, 2
		c.Log, c.Metrics = slog.New(slog.NewTextHandler(&log, nil)), httpauth.NewMetrics(registry)
	})
	begin := time.Now()
	for range 200 {
		if ok, err := s.Password(t.Context(), "alice", "x"); ok || !errors.Is(err, httpauth.ErrUnavailable) {
			t.Fatalf("%v, %v", ok, err)
		}
	}
	if n := asked.Load(); n > 6+int64(time.Since(begin)/(5*time.Second)) { // one in five seconds tries again
		t.Errorf("a source that doesn't answer was asked %d times", n)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN msg=\"the source of logins is given up") {
		t.Errorf("log: %s", got)
	}
	if up, n := value(t, registry, "xmppd_auth_source_given_up", ""), value(t, registry, "xmppd_auth_source_requests_total", "not_asked"); up != 1 || n < 190 {
		t.Errorf("given up: %v, not asked: %v", up, n)
	}
	log.Reset()
	close(release)
	// On a slow machine an answer may take longer than the source is given.
	for answers, end := 0, time.Now().Add(time.Minute); answers < 2; {
		s.Rested()
		ok, err := s.Password(t.Context(), "alice", "x")
		if ok {
			answers++
		} else if time.Now().After(end) {
			t.Fatalf("after the rest: %v, %v", ok, err)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=INFO msg=\"the source of logins answers again") {
		t.Errorf("log: %s", got)
	}
	if up, n := value(t, registry, "xmppd_auth_source_given_up", ""), value(t, registry, "xmppd_auth_source_requests_total", "answered"); up != 0 || n != 2 {
		t.Errorf("given up: %v, answered: %v", up, n)
	}
}

// TestAtOnce: the number of questions under way is bounded, and who asks can give up.
func TestAtOnce(t *testing.T) {
	var now, most atomic.Int64
	s := source(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		_, _ = w.Write([]byte(`{"ok":true}`))
	}, func(c *httpauth.Config) { c.AtOnce = 3 })
	done := make(chan error)
	for range 50 {
		go func() {
			_, err := s.Password(t.Context(), "alice", "x")
			done <- err
		}()
	}
	for range 50 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > 3 {
		t.Errorf("%d questions at once", most.Load())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Password(gone, "alice", "x"); !errors.Is(err, httpauth.ErrUnavailable) {
		t.Error(err)
	}
}
