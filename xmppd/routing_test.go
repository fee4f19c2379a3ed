package xmppd_test

import (
	"fmt"
	"strings"
	"testing"
)

// What becomes of a stanza.
const (
	silent = "silent" // dropped without a word
	back   = "error"  // service-unavailable to the sender
	answer = "answer" // a result from the server
)

// scene is a condition of RFC 6121 section 8.5: what the sessions of "bob" are. The sender is alice.
type scene struct {
	name     string
	account  string
	sessions map[string]string // resource: presence
}

func scenes() []scene {
	return []scene{
		{"no account", "nobody", nil},
		{"no resources", "bob", nil},
		{"no available resources", "bob", map[string]string{"bound": ""}},
		{"negative resources only", "bob", map[string]string{"neg": "<presence><priority>-1</priority></presence>"}},
		{"one non-negative resource", "bob", map[string]string{"zero": "<presence/>", "neg": "<presence><priority>-1</priority></presence>"}},
		{"several non-negative resources", "bob", map[string]string{
			"high": "<presence><priority>5</priority></presence>", "high2": "<presence><priority>5</priority></presence>",
			"low": "<presence><priority>1</priority></presence>", "neg": "<presence><priority>-1</priority></presence>", "bound": "",
		}},
	}
}

// cell is one cell of a table: the outcome is silent, back, answer, or the resources that get it.
type cell struct{ scene, kind, to, outcome string }

// TestMessageRoutingTable is table 1 of RFC 6121 section 8.5.4, and "error", for which it has no column.
// Where the table says "S" for other types and addresses than those of headlines and errors to
// accounts, sections 8.5.1 and 8.5.3.2.1 leave the choice of an error, which this server takes: no
// message vanishes. Offline storage (O) is a module; here it is not there.
func TestMessageRoutingTable(t *testing.T) {
	const noAccount, none, bound, negative, one, several = "no account", "no resources", "no available resources",
		"negative resources only", "one non-negative resource", "several non-negative resources"
	var cells []cell
	row := func(scene, to string, normal, chat, groupchat, headline, errorType string) {
		for kind, outcome := range map[string]string{"normal": normal, "chat": chat, "groupchat": groupchat, "headline": headline, "error": errorType} {
			cells = append(cells, cell{scene, kind, to, outcome})
		}
	}
	//                        normal      chat        groupchat   headline    error
	row(noAccount, "", back, back, back, silent, silent)
	row(noAccount, "/gone", back, back, back, back, silent)
	row(none, "", back, back, back, silent, silent)
	row(none, "/gone", back, back, back, back, silent)
	row(bound, "", back, back, back, silent, silent)
	row(bound, "/bound", "bound", "bound", "bound", "bound", "bound")
	row(bound, "/gone", back, back, back, back, silent)
	row(negative, "", back, back, back, silent, silent)
	row(negative, "/neg", "neg", "neg", "neg", "neg", "neg")
	row(negative, "/gone", back, back, back, back, silent)
	row(one, "", "zero", "zero", back, "zero", silent)
	row(one, "/zero", "zero", "zero", "zero", "zero", "zero")
	row(one, "/neg", "neg", "neg", "neg", "neg", "neg")
	row(one, "/gone", back, "zero", back, back, silent)
	row(several, "", "high high2", "high high2", back, "high high2 low", silent)
	row(several, "/low", "low", "low", "low", "low", "low")
	row(several, "/neg", "neg", "neg", "neg", "neg", "neg")
	row(several, "/bound", "bound", "bound", "bound", "bound", "bound")
	row(several, "/gone", back, "high high2", back, back, silent)
	playTable(t, cells, func(c cell, to, mark string) string {
		return fmt.Sprintf("<message to='%s' type='%s' id='%s'><body>x</body></message>", to, c.kind, mark)
	})
}

// TestIQRoutingTable is what RFC 6121 sections 8.5.1 to 8.5.3 say of IQs.
func TestIQRoutingTable(t *testing.T) {
	var cells []cell
	for _, s := range scenes() {
		match := ""
		for res := range s.sessions {
			match = res
		}
		for _, kind := range []string{"get", "set", "result", "error"} {
			none, bare := back, back
			if kind == "result" || kind == "error" {
				none, bare = silent, silent
			}
			cells = append(cells, cell{s.name, kind, "", bare}, cell{s.name, kind, "/gone", none})
			if match != "" {
				cells = append(cells, cell{s.name, kind, "/" + match, match})
			}
		}
	}
	playTable(t, cells, func(c cell, to, mark string) string {
		return fmt.Sprintf("<iq to='%s' type='%s' id='%s'><x xmlns='y'/></iq>", to, c.kind, mark)
	})
}

// TestPresenceRoutingTable is what RFC 6121 sections 8.5.1 to 8.5.3 say of presence: to an account
// it reaches the available resources, to a resource just that one, and it never comes back.
func TestPresenceRoutingTable(t *testing.T) {
	var cells []cell
	for _, s := range scenes() {
		var available []string
		for res, presence := range s.sessions {
			if presence != "" {
				available = append(available, res)
			}
		}
		bare := silent
		if len(available) > 0 {
			bare = strings.Join(available, " ")
		}
		for _, kind := range []string{"", "unavailable"} {
			cells = append(cells, cell{s.name, kind, "", bare}, cell{s.name, kind, "/gone", silent})
			for res := range s.sessions {
				cells = append(cells, cell{s.name, kind, "/" + res, res})
			}
		}
		cells = append(cells, cell{s.name, "error", "/gone", silent})
		for res := range s.sessions {
			cells = append(cells, cell{s.name, "error", "/" + res, res})
		}
	}
	playTable(t, cells, func(c cell, to, mark string) string {
		typ := ""
		if c.kind != "" {
			typ = " type='" + c.kind + "'"
		}
		return fmt.Sprintf("<presence to='%s'%s id='%s'/>", to, typ, mark)
	})
}

func playTable(t *testing.T, cells []cell, stanza func(c cell, to, mark string) string) {
	for _, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			s := startServer(t, withoutOffline(options{}))
			alice := online(t, s, "alice", "a")
			bob := map[string]*client{}
			for res, presence := range sc.sessions {
				bob[res] = login(t, s, "bob", res)
				bob[res].Send(presence)
				bob[res].Sync()
			}
			for i, c := range cells {
				if c.scene == sc.name {
					name := c.kind + " to bare"
					if c.to != "" {
						name = c.kind + " to " + c.to
					}
					t.Run(name, func(t *testing.T) {
						mark := fmt.Sprintf("mark%d.", i)
						alice.Send(stanza(c, sc.account+"@"+domain+c.to, mark))
						c.check(t, alice.Sync(), mark, bob)
					})
				}
			}
		})
	}
}

func (c cell) check(t *testing.T, echo, mark string, bob map[string]*client) {
	t.Helper()
	bounced := strings.Contains(echo, mark) && strings.Contains(echo, "<service-unavailable ")
	if bounced != (c.outcome == back) || !bounced && strings.Contains(echo, mark) {
		t.Errorf("the sender got %q, want %s", echo, c.outcome)
	}
	for res, x := range bob {
		got := strings.Contains(x.Sync(), mark)
		if want := strings.Contains(" "+c.outcome+" ", " "+res+" "); got != want {
			t.Errorf("reached %s: %v, want %s", res, got, c.outcome)
		}
	}
}

// TestRoutingToDomain is RFC 6120 section 10.5 and RFC 6121 sections 8.3 and 8.4: addresses of the
// server, no address, and addresses that lead nowhere.
func TestRoutingToDomain(t *testing.T) {
	s := startServer(t, options{})
	a, a2 := online(t, s, "alice", "a"), online(t, s, "alice", "b")
	a.Sync()
	for _, tt := range []struct{ send, want, other string }{
		{"<message to='" + domain + "' id='1'><body>x</body></message>", "<service-unavailable ", ""},
		{"<message to='" + domain + "/x' id='1'><body>x</body></message>", "<service-unavailable ", ""},
		{"<message to='bob@example.com' id='1'><body>x</body></message>", "<remote-server-not-found ", ""},
		{"<message to='@' id='1'><body>x</body></message>", "<jid-malformed ", ""},
		{"<message to='' id='1'><body>x</body></message>", "<jid-malformed ", ""},
		{"<message id='1'><body>to myself</body></message>", "to myself", "to myself"}, // 8.3: as to the own account
		{"<iq id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'", ""},
		{"<iq id='1' type='get' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'", ""},
		{"<iq id='1' type='get' to='" + domain + "'><unknown xmlns='x'/></iq>", "<service-unavailable ", ""},
		{"<iq id='1' type='get'><unknown xmlns='x'/></iq>", "<service-unavailable ", ""},
		{"<iq id='1' type='get' to='bob@example.com'><unknown xmlns='x'/></iq>", "<remote-server-not-found ", ""},
		{"<presence id='1' to='bob@example.com'/>", "<remote-server-not-found ", ""},
		{"<presence id='1' to='bob@example.com' type='subscribe'/>", "<remote-server-not-found ", ""},
		{"<presence id='1' to='bob@example.com' type='probe'/>", "<remote-server-not-found ", ""},
	} {
		a.Send(tt.send)
		has(t, tt.send, a.Sync(), tt.want)
		has(t, tt.send, a2.Sync(), tt.other)
	}
	a.Send("<presence id='7' to='" + domain + "'/><presence id='7' type='unavailable' to='" + domain + "'/><presence id='7' type='unsubscribe' to='bob@example.com'/>")
	hasNot(t, "presence to the server, or giving up what was elsewhere", a.Sync(), "id='7'")
}
