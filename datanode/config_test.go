package datanode

import (
	"errors"
	"testing"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

func TestConfigRefuses(t *testing.T) {
	good := func() Config {
		c := Config{Dir: "d", Operators: []string{"op@example.org"}, Apps: []string{"*@example.org"}}
		c.XMPP.JID = "dn1@example.org"
		return c
	}
	for name, edit := range map[string]func(*Config){
		"no directory":      func(c *Config) { c.Dir = "" },
		"no account":        func(c *Config) { c.XMPP.JID = "example.org" },
		"other resource":    func(c *Config) { c.XMPP.JID = "dn1@example.org/phone" },
		"operator resource": func(c *Config) { c.Operators = []string{"op@example.org/x"} },
		"app is a domain":   func(c *Config) { c.Apps = []string{"example.org"} },
		"app pattern":       func(c *Config) { c.Apps = []string{"*@a@b"} },
		"app star":          func(c *Config) { c.Apps = []string{"*"} },
	} {
		c := good()
		edit(&c)
		if _, _, err := c.check(); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := good()
	if _, j, err := c.check(); err != nil || j.String() != "dn1@example.org/store" {
		t.Errorf("good: %v %v", j, err)
	}
}

func TestRoles(t *testing.T) {
	list, err := parsePatterns("app", []string{"app@a.example", "*@b.example"})
	if err != nil {
		t.Fatal(err)
	}
	for jid, want := range map[string]bool{
		"app@a.example/x":       true,
		"app2@a.example/x":      false,
		"who@b.example/x":       true,
		"b.example":             false, // a server is no account
		"app@a.example.evil/x":  false,
		"x@sub.b.example/y":     false,
		"app@a.example":         true,
		"*@a.example":           false,
		"app@b.example/*@local": true,
	} {
		j, err := stanza.ParseJID(jid)
		if err != nil {
			if want {
				t.Errorf("%s: %v", jid, err)
			}
			continue
		}
		if got := matchAny(list, j); got != want {
			t.Errorf("%s: %v, want %v", jid, got, want)
		}
	}
}

func TestDiskHasHysteresis(t *testing.T) {
	free, total := uint64(1000), uint64(10_000)
	d := disk{space: func(string) (uint64, uint64, error) { return free, total, nil }}
	for _, step := range []struct {
		free uint64
		full bool
	}{{1000, false}, {100, false}, {99, true}, {100, true}, {124, true}, {125, false}, {100, false}, {0, true}} {
		free = step.free
		if err := d.look(); err != nil {
			t.Fatal(err)
		}
		if d.full() != step.full {
			t.Errorf("%d of %d free with 1%% in reserve: full %v", step.free, total, d.full())
		}
	}
	total = 1 << 50
	free = 400 << 20
	if _ = d.look(); d.full() || d.reserve.Load() != 256<<20 {
		t.Errorf("a petabyte disk: reserve %d, full %v", d.reserve.Load(), d.full())
	}
	d.wanted = 1 << 30
	if _ = d.look(); !d.full() {
		t.Error("the configured reserve is not minded")
	}
	if s := sizeText(256 << 20); s != "256.0 MiB" {
		t.Error(s)
	}
}
