package xmppd

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterdb/rosterdb/xmppd/cluster/clustertest"
)

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/xmppd.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// same reports what only one of two lists has.
func same(t *testing.T, what string, code, docs []string) {
	t.Helper()
	if len(code) == 0 {
		t.Fatalf("the code has no %s at all", what)
	}
	for _, name := range code {
		if !slices.Contains(docs, name) {
			t.Errorf("docs/xmppd.md does not name the %s %s", what, name)
		}
	}
	for _, name := range docs {
		if !slices.Contains(code, name) {
			t.Errorf("docs/xmppd.md names the %s %s, and the code has none", what, name)
		}
	}
}

// TestKeysAreDocumented: the tables of docs/xmppd.md and Config have the same keys.
func TestKeysAreDocumented(t *testing.T) {
	var code, docs []string
	cfg := reflect.ValueOf(new(Config)).Elem()
	walk("", cfg, cfg, func(key string, v, _ reflect.Value) {
		if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct { // [[account]] and such
			code = append(code, key)
		}
	})
	header, tick := regexp.MustCompile(`^\| \*\*.\[(\[?[a-z.]+\]?)\]`), regexp.MustCompile("`([^`]+)`")
	settings := manual(t)
	settings = settings[strings.Index(settings, "\n## xmppd serve\n"):strings.Index(settings, "\n## Login\n")]
	for table, line := "", ""; settings != ""; {
		line, settings, _ = strings.Cut(settings, "\n")
		cells := strings.Split(line, "|")
		switch m := header.FindStringSubmatch(line); {
		case m != nil:
			table = m[1] + "."
		case len(cells) == 6: // of flags
			for _, key := range tick.FindAllStringSubmatch(cells[2], -1) {
				docs = append(docs, key[1])
			}
		case len(cells) == 5 && !strings.HasPrefix(table, "["):
			for _, key := range tick.FindAllStringSubmatch(cells[1], -1) {
				docs = append(docs, table+key[1])
			}
		}
	}
	docs = slices.DeleteFunc(docs, func(k string) bool { return strings.HasPrefix(k, "[[") || k == "auth.certificate" })
	same(t, "key", code, docs)
}

// TestMetricsAreDocumented: docs/xmppd.md names the metrics of a server that has everything on.
func TestMetricsAreDocumented(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("sixteen bytes, and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Domain, cfg.Data = "example.net", t.TempDir()
	for _, addr := range []*string{&cfg.ListenC2S, &cfg.ListenTLS, &cfg.ListenHTTP, &cfg.ListenHTTPS, &cfg.ListenComponent, &cfg.Portal.Listen} {
		*addr = "127.0.0.1:0"
	}
	cfg.Portal.SecretFile = secret
	cfg.Cluster = clusterOf(t, clustertest.New(t), "x1")
	registry := prometheus.NewRegistry()
	s, err := Start(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	var code, docs []string
	for d := range descriptions {
		if m := regexp.MustCompile(`fqName: "(xmppd_[^"]+)"`).FindStringSubmatch(d.String()); m != nil {
			code = append(code, m[1])
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`(xmppd_[a-z_0-9]+)").FindAllStringSubmatch(manual(t), -1) {
		docs = append(docs, m[1])
	}
	same(t, "metric", code, docs)
}
