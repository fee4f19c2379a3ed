package xmppd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/rosterdb/rosterdb/xmppd"
)

// play is a scene with several clients, read from testdata/plays. Its lines are
//
//	config KEY = VALUE     of the server (TOML), before the first login
//	login NAME ACCOUNT     NAME is the resource, too
//	account NAME [GROUP]   makes one more account
//	component NAME         lets a component serve gateway.example.net, before the first login
//	join NAME              that component connects
//	NAME > TEXT            NAME sends TEXT
//	NAME < TEXT            NAME gets TEXT, behind what it got before
//	NAME ! TEXT            NAME has not got TEXT since the last line about it
//	NAME .                 NAME has got no other stanza
//	NAME cut | NAME end    the connection breaks | the stream is closed; what follows from it is
//	                       waited for by "<"
//
// What a client has been sent is known for sure: all that was sent before has been handled.
type play struct {
	t        *testing.T
	s        *xmppd.Server
	trio     *trio // instead of s: each login is at the next of its servers
	together bool
	cfg      string
	where    string
	accts    [][2]string
	clients  map[string]*actor
	logins   int
	left     bool // a connection has ended: what follows from it may still be under way
}

type actor struct {
	*client
	address string // of a component
	heard   string // and not asked for yet
	spoke   bool   // since it was last synchronized
}

// TestPlays runs the plays. Each names the section of the specification that it shows.
func TestPlays(t *testing.T) { runPlays(t, false) }

// TestPlaysTogether runs the same plays where each client has another server.
func TestPlaysTogether(t *testing.T) { runPlays(t, true) }

func runPlays(t *testing.T, together bool) {
	files, err := filepath.Glob("testdata/plays/*.play")
	if err != nil || len(files) == 0 {
		t.Fatal("no plays", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if together && alone(string(text)) {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(f), ".play"), func(t *testing.T) {
			p := &play{t: t, together: together, clients: make(map[string]*actor)}
			for i, line := range strings.Split(string(text), "\n") {
				p.where = fmt.Sprintf("%s:%d: %s", f, i+1, line)
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					p.line(line)
				}
			}
		})
	}
}

// alone reports whether a play is about something that only one server of a cluster has.
func alone(text string) bool {
	return strings.Contains(text, "\ncomponent ") || strings.HasPrefix(text, "component ")
}

func (p *play) line(line string) {
	p.t.Helper()
	who, rest, _ := strings.Cut(line, " ")
	what, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
	switch who {
	case "config":
		p.cfg += rest + "\n"
		return
	case "account":
		p.accts = append(p.accts, [2]string{what, text})
		return
	case "component":
		p.cfg += "listen_component = '127.0.0.1:0'\ncomponent = [{ name = '" + gateway + "', secret = 's3cret' }]\n"
		return
	case "join":
		p.start()
		p.clients[what] = &actor{client: loginComponent(p.t, p.s), address: gateway}
		return
	case "login":
		p.start()
		c := login(p.t, p.next(), text, what)
		p.clients[what] = &actor{client: c}
		return
	}
	a := p.clients[who]
	if a == nil {
		p.t.Fatalf("%s: who is %s?", p.where, who)
	}
	switch what {
	case ">":
		a.Send(text)
		a.spoke = true
	case "<":
		after, ok := p.await(a, text)
		if !ok {
			p.t.Fatalf("%s\n%s has only got %q", p.where, who, a.heard)
		}
		a.heard = after
	case "!":
		p.hear(a)
		if strings.Contains(a.heard, text) {
			p.t.Fatalf("%s\n%s has got %q", p.where, who, a.heard)
		}
	case ".":
		p.hear(a)
		for _, stanza := range []string{"<iq", "<presence", "<message", "<stream:error"} {
			if strings.Contains(a.heard, stanza) {
				p.t.Fatalf("%s\n%s has got %q", p.where, who, a.heard)
			}
		}
		a.heard = ""
	case "cut", "end":
		if what == "end" {
			a.Send("</stream:stream>")
			a.Rest()
		}
		_ = a.Conn.Close()
		delete(p.clients, who)
		p.left = true
	default:
		p.t.Fatalf("%s: what does %q mean?", p.where, what)
	}
}

// start runs the server, once.
func (p *play) start() {
	p.t.Helper()
	if p.s != nil {
		return
	}
	if p.together {
		p.trio = startTrio(p.t, trioOptions{cfg: func(c *xmppd.Config) {
			if _, err := toml.Decode(p.cfg, c); err != nil {
				p.t.Fatalf("configuration: %v", err)
			}
		}})
		p.s = p.trio.servers[0]
	}
	if p.s == nil {
		p.s = startServer(p.t, options{cfg: func(c *xmppd.Config) {
			if _, err := toml.Decode(p.cfg, c); err != nil {
				p.t.Fatalf("configuration: %v", err)
			}
		}})
	}
	for _, a := range p.accts {
		if err := p.s.Accounts().Add(p.t.Context(), a[0], password, a[1]); err != nil {
			p.t.Fatal(err)
		}
	}
}

// hear makes sure that all that anybody has sent is done, and takes what this one was sent.
func (p *play) hear(a *actor) {
	p.t.Helper()
	for _, x := range p.clients {
		if x.spoke && x != a {
			x.catchUp()
		}
	}
	if p.trio != nil {
		a.catchUp()
		p.trio.quiet(p.t)
	}
	a.catchUp()
}

// next is the server of the next login.
func (p *play) next() *xmppd.Server {
	if p.trio == nil {
		return p.s
	}
	p.trio.quiet(p.t)
	p.logins++
	return p.trio.servers[p.logins%len(p.trio.servers)]
}

func (a *actor) catchUp() {
	a.T.Helper()
	a.spoke = false
	if a.address == "" {
		a.heard += a.Sync()
		return
	}
	a.Send("<iq type='get' id='sync' from='" + a.address + "' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	got, _, _ := strings.Cut(a.Want("id='sync'"), "<iq type='result' id='sync'")
	a.heard += got
	a.Want("/>")
}

// await hears until a text comes: what follows the end of a connection has no other sign.
func (p *play) await(a *actor, text string) (after string, ok bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		p.hear(a)
		if _, after, ok = strings.Cut(a.heard, text); ok || !p.left {
			break
		}
	}
	return after, ok
}
