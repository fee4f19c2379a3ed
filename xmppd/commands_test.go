package xmppd_test

import (
	"regexp"
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/modules/caps"
)

const nsAdmin = "http://jabber.org/protocol/admin"

// command sends a command element to the server and returns the answer.
func (c *client) command(attrs, body string) string {
	c.T.Helper()
	c.Send("<iq type='set' id='cmd' to='" + domain + "'><command xmlns='http://jabber.org/protocol/commands' " + attrs + ">" + body + "</command></iq>")
	return c.Want("</iq>")
}

func submit(fields ...string) string {
	form := "<x xmlns='jabber:x:data' type='submit'>"
	for i := 0; i+1 < len(fields); i += 2 {
		form += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return form + "</x>"
}

var sessionID = regexp.MustCompile(`sessionid='([0-9a-f]+)'`)

func TestCommands(t *testing.T) {
	s := startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.Adhoc.Admins = []string{"alice"} }})
	admin, other := online(t, s, "alice", "x"), online(t, s, "bob", "x")

	items := "<iq type='get' id='i' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>"
	admin.Send(items)
	if got := admin.Want("</iq>"); !strings.Contains(got, nsAdmin+"#add-user") {
		t.Errorf("the list for an administrator: %s", got)
	}
	other.Send(items)
	if got := other.Want("</iq>"); strings.Contains(got, nsAdmin) {
		t.Errorf("the list for others: %s", got)
	}
	if got := other.command("node='"+nsAdmin+"#get-online-users-num'", ""); !strings.Contains(got, "<forbidden") {
		t.Errorf("others may run commands: %s", got)
	}
	if got := admin.command("node='"+nsAdmin+"#get-online-users-num' action='execute'", ""); !strings.Contains(got, "<value>2</value>") || !strings.Contains(got, "status='completed'") {
		t.Errorf("count: %s", got)
	}
	if got := admin.command("node='"+nsAdmin+"#get-online-users-list'", ""); !strings.Contains(got, "<value>bob@example.net/x</value>") {
		t.Errorf("list: %s", got)
	}

	// Two steps: a form, then what it says.
	start := func(name string) string {
		t.Helper()
		got := admin.command("node='"+nsAdmin+"#"+name+"'", "")
		id := sessionID.FindStringSubmatch(got)
		if id == nil || !strings.Contains(got, "status='executing'") {
			t.Fatalf("%s: %s", name, got)
		}
		return "node='" + nsAdmin + "#" + name + "' sessionid='" + id[1] + "'"
	}
	add := start("add-user")
	if got := admin.command(add, submit("accountjid", "dave@"+domain)); !strings.Contains(got, "<bad-payload") {
		t.Errorf("without a password: %s", got)
	}
	if got := admin.command(add+" action='complete'", submit("accountjid", "dave@"+domain, "password", password, "password-verify", password)); !strings.Contains(got, "status='completed'") {
		t.Errorf("add: %s", got)
	}
	dave := online(t, s, "dave", "x")
	if got := admin.command(add, submit("accountjid", "eve@"+domain)); !strings.Contains(got, "<bad-sessionid") {
		t.Errorf("an execution that has ended: %s", got)
	}
	if got := admin.command(start("end-user-session"), submit("accountjid", "dave@"+domain)); !strings.Contains(got, "completed") {
		t.Errorf("end sessions: %s", got)
	}
	if got := dave.Rest(); !strings.Contains(got, "<policy-violation") {
		t.Errorf("the session got %q", got)
	}
	if got := admin.command(start("delete-user"), submit("accountjid", "dave@"+domain)); !strings.Contains(got, "completed") {
		t.Errorf("delete: %s", got)
	}
	if got := admin.command(start("delete-user"), submit("accountjid", "dave@"+domain)); !strings.Contains(got, "<item-not-found") {
		t.Errorf("delete again: %s", got)
	}
	if got := admin.command(start("end-user-session"), submit("accountjid", "dave@"+domain)); !strings.Contains(got, "<item-not-found") {
		t.Errorf("end sessions of nobody: %s", got)
	}
	if got := admin.command(start("delete-user"), submit("accountjid", "dave@elsewhere.example")); !strings.Contains(got, "<bad-request") {
		t.Errorf("another domain's account: %s", got)
	}
	cancelled := start("delete-user")
	if got := admin.command(cancelled+" action='cancel'", ""); !strings.Contains(got, "status='canceled'") {
		t.Errorf("cancel: %s", got)
	}
	// The execution of one administrator is not another client's.
	second := online(t, s, "alice", "y")
	if got := second.command(start("delete-user"), submit("accountjid", "bob@"+domain)); !strings.Contains(got, "<bad-sessionid") {
		t.Errorf("another client's execution: %s", got)
	}
	for attrs, want := range map[string]string{
		"node='nothing'": "<item-not-found",
		"node='" + nsAdmin + "#delete-user' action='next'": "<bad-action",
	} {
		if got := admin.command(attrs, ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s", attrs, got)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestServerCaps: the hash in the stream features is that of the server's answer, under its node.
func TestServerCaps(t *testing.T) {
	s := startServer(t, options{})
	addr, _, _ := s.Addrs()
	c := connect(t, addr)
	c.Open()
	c.Auth(sasl.Plain, "alice", password)
	features := c.Open()
	c.Bind("x")
	m := regexp.MustCompile(`<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='([^']+)' ver='([^']+)'/>`).FindStringSubmatch(features)
	if m == nil {
		t.Fatalf("no capabilities in %s", features)
	}
	c.Send("<iq type='get' id='i' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#info' node='" + m[1] + "#" + m[2] + "'/></iq>")
	got := c.Want("</iq>")
	query := got[strings.Index(got, "<query"):strings.LastIndex(got, "</iq>")]
	if ver := caps.Verification([]byte(query)); ver != m[2] {
		t.Errorf("announced %s, the answer hashes to %s: %s", m[2], ver, query)
	}
	c.Send("<iq type='get' id='i' to='" + domain + "'><query xmlns='http://jabber.org/protocol/disco#info' node='" + m[1] + "#wrong'/></iq>")
	if got := c.Want("</iq>"); !strings.Contains(got, "<item-not-found") {
		t.Errorf("another node: %s", got)
	}
}
