package xmppd_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

func TestReadFile(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"good", "domain = 'example.net'\n[limits]\ndepth = 5\n[[account]]\nname = 'dn1'\ngroup = 'Data nodes'\npassword_file = 'x'\n", ""},
		{"unknown key", "domain = 'a'\n\nlisten_c3s = ':5222'\n", `FILE:3: unknown key "listen_c3s"; did you mean "listen_c2s"?`},
		{"unknown key in a table", "depth = 1 # another\n", `FILE:1: unknown key "depth"; did you mean "limits.depth"?`},
		{"unknown key below", "domain = 'a'\n[limits]\ndepth = 5\ndomain = 'b'\n", `FILE:4: unknown key "limits.domain"; did you mean "domain"?`},
		{"dotted", "limits.dept = 4\n", `FILE:1: unknown key "limits.dept"; did you mean "limits.depth"?`},
		{"unknown table", "domain = 'a'\n[limit]\ndepth = 3\n", `FILE:2: unknown key "limit"; did you mean "limits"?`},
		{"in an array", "[[account]]\nnam = 'a'\n", `FILE:2: unknown key "account.nam"; did you mean "account.name"?`},
		{"like no other", "port = 5222\n", `FILE:1: unknown key "port"; docs/xmppd.md`},
		{"wrong type", "domain = 5\n", "FILE:1: domain has to be string, not integer"},
		{"wrong type in a table", "[limits]\n\ndepth = 'x'\n", "FILE:3: limits.depth has to be integer, not string"},
		{"wrong type of array", "[auth]\nmechanisms = 'PLAIN'\n", "FILE:2: auth.mechanisms has to be array, not string"},
		{"no table", "limits = 3\n", "FILE:1: limits has to be a table, not integer"},
		{"no TOML", "domain = 'a'\nx\n", "FILE:2: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := xmppd.Defaults()
			err := cfg.ReadFile(path)
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), path, "FILE")
			}
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for want, change := range map[string]func(*xmppd.Config){
		"no domain":                             func(c *xmppd.Config) { c.Domain = "" },
		"is not a domain":                       func(c *xmppd.Config) { c.Domain = "a@b" },
		"registration is":                       func(c *xmppd.Config) { c.Registration = "maybe" },
		"belong together":                       func(c *xmppd.Config) { c.TLSCert = "x" },
		"no listener":                           func(c *xmppd.Config) { c.ListenC2S, c.ListenTLS = "", "" },
		"no data directory":                     func(c *xmppd.Config) { c.Data = "" },
		"modules.offline.days is 36500 at most": func(c *xmppd.Config) { c.Modules.Offline.Days = 200_000 },
		"limits.bytes_per_second is 2147483647 at most": func(c *xmppd.Config) { c.Limits.BytesPerSecond = 1 << 40 },
		"limits.depth can't be negative":                func(c *xmppd.Config) { c.Limits.Depth = -1 },
		"limits.burst_seconds can't be":                 func(c *xmppd.Config) { c.Limits.BurstSeconds = -1 },
		"modules.sm.ack_seconds can't be":               func(c *xmppd.Config) { c.Modules.SM.AckSeconds = -1 },
		"auth.at_once can't be":                         func(c *xmppd.Config) { c.Auth.AtOnce = -1 },
		"presence_delay_ms -1 at least":                 func(c *xmppd.Config) { c.Web.BOSH.PresenceDelayMS = -2 },
		"limits.exempt":                                 func(c *xmppd.Config) { c.Limits.Exempt = []string{"nowhere"} },
		"10000 at least":                                func(c *xmppd.Config) { c.Limits.StanzaBytes = 100 },
		"loopback addresses":                            func(c *xmppd.Config) { c.InsecurePlaintext = true },
		"listen_c2s is HOST:PORT":                       func(c *xmppd.Config) { c.ListenC2S = "127.0.0.1" },
		"listen_tls is HOST:PORT":                       func(c *xmppd.Config) { c.ListenTLS = ":99999" },
		"listen_https is HOST:PORT":                     func(c *xmppd.Config) { c.ListenHTTPS = "localhost:" },
		"needs a name and a password":                   func(c *xmppd.Config) { c.Accounts = []xmppd.AccountConfig{{Name: "dn1"}} },
		"log format":                                    func(c *xmppd.Config) { c.LogFormat = "xml" },
	} {
		cfg := xmppd.Defaults()
		cfg.Domain = domain
		change(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	cfg := xmppd.Defaults()
	cfg.Domain = "Example.NET"
	if err := cfg.Check(); err != nil || cfg.Domain != domain {
		t.Errorf("domain %q, %v", cfg.Domain, err)
	}
}

func TestStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	running := startServer(t, options{})
	_ = running
	data, short := t.TempDir(), filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*xmppd.Config){
		"the address is in use: stop the program that listens there, or give --listen-tls": func(c *xmppd.Config) { c.ListenTLS = taken.Addr().String() },
		"no module":            func(c *xmppd.Config) { c.Modules.Disable = []string{"pong"} },
		"no such file":         func(c *xmppd.Config) { c.TLSCert, c.TLSKey = "/no/cert", "/no/key" },
		"at least 16 bytes":    func(c *xmppd.Config) { c.Portal.Listen, c.Portal.SecretFile = "127.0.0.1:0", short },
		"modules.adhoc.admins": func(c *xmppd.Config) { c.Modules.Adhoc.Admins = []string{"a@b"} },
		"auth.client_ca":       func(c *xmppd.Config) { c.Auth.ClientCA = "/no/file" },
		"it has no secret": func(c *xmppd.Config) {
			c.ListenComponent, c.Components = "127.0.0.1:0", []xmppd.ComponentConfig{{Name: "a.b"}}
		},
		"password is empty": func(c *xmppd.Config) { c.Accounts = []xmppd.AccountConfig{{Name: "x", PasswordFile: os.DevNull}} },
		"can't be the name": func(c *xmppd.Config) { c.Accounts = []xmppd.AccountConfig{{Name: "a b", PasswordFile: short}} },
		"password_file":     func(c *xmppd.Config) { c.Accounts = []xmppd.AccountConfig{{Name: "x", PasswordFile: "/no/file"}} },
	} {
		cfg := xmppd.Defaults()
		cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS = domain, data, "127.0.0.1:0", "127.0.0.1:0"
		change(&cfg)
		s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		var wrong *xmppd.ConfigError
		if err == nil || !strings.Contains(err.Error(), want) || errors.As(err, &wrong) == strings.Contains(want, "--listen") {
			t.Errorf("got %v (of the configuration: %v), want %q", err, wrong != nil, want)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

func TestModulesCanBeSwitchedOff(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) {
		c.Modules.Disable, c.Registration = []string{"version", "register"}, "open"
	}})
	addr, _, _ := s.Addrs()
	hasNot(t, "stream features", connect(t, addr).Open(), "iq-register")
	a := login(t, s, "alice", "a")
	a.Send("<iq type='get' id='1' to='" + domain + "'><query xmlns='jabber:iq:version'/></iq>")
	has(t, "version", a.Sync(), "<service-unavailable ")
	a.Send("<iq type='get' id='1' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	got := a.Sync()
	has(t, "disco", got, "urn:xmpp:ping", "jabber:iq:roster")
	hasNot(t, "disco", got, "jabber:iq:version", "jabber:iq:register")
}

func TestRegistration(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Registration = "open" }})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	has(t, "features", c.Open(), "<register xmlns='http://jabber.org/features/iq-register'/>")
	c.Send("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>")
	has(t, "form", c.Want("</iq>"), "<username/><password/>", "type='result'")
	set := func(user, pw string) string {
		c.Send("<iq type='set' id='2' to='" + domain + "'><query xmlns='jabber:iq:register'><username>" + user + "</username><password>" + pw + "</password></query></iq>")
		return c.Want("</iq>", "/>\n", "type='result' id='2' from='"+domain+"'/>")
	}
	has(t, "new", set("New.User", password), "type='result'")
	has(t, "taken", set("new.user", password), "<conflict ")
	has(t, "bad name", set("a b", password), "<not-acceptable ")
	has(t, "no password", set("x", ""), "<not-acceptable ")
	n := login(t, s, "new.user", "r")
	n.Send("<iq type='set' id='2' to='" + domain + "'><query xmlns='jabber:iq:register'><username>alice</username><password>x</password></query></iq>")
	has(t, "another's password", n.Sync(), "<not-allowed ")
	n.Send("<iq type='set' id='2' to='" + domain + "'><query xmlns='jabber:iq:register'><remove/></query></iq>")
	rest := n.Rest()
	has(t, "end of the removed account's stream", rest, "<iq type='result' id='2'", "<not-authorized ")
	if strings.Index(rest, "<iq") > strings.Index(rest, "<stream:error") {
		t.Errorf("the result comes after the end: %q", rest)
	}
	hasNot(t, "login after removal", connectAndAuth(t, s, "new.user"), "success")
}
