package xmppd

import (
	"flag"
	"log/slog"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/xeps.md")

// TestSpecifications: docs/xeps.md says what the modules say of themselves.
func TestSpecifications(t *testing.T) {
	cfg := Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = "example.net", t.TempDir(), "127.0.0.1:0", ""
	s, err := Start(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	const file = "../docs/xeps.md"
	want := specificationsDocument(s.Specifications())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not up to date: go test ./xmppd -run TestSpecifications -update", file)
	}
}
