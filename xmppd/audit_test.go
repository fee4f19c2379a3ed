package xmppd_test

import (
	"strings"
	"testing"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd"
)

// TestAdministrationIsLogged: the log tells who has changed what, whichever way was taken, and no secret.
func TestAdministrationIsLogged(t *testing.T) {
	log := new(logs)
	var data string
	s := startServer(t, options{log: log, cfg: func(c *xmppd.Config) {
		data = c.Data
		c.Registration, c.Modules.Adhoc.Admins = "open", []string{"alice"}
	}})
	users, err := xmppd.OpenUsers(t.Context(), data, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	const secret = "hush-hush"
	ctx := t.Context()
	step := func(want string, f func() error) {
		t.Helper()
		before := len(log.String())
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if got := log.String()[before:]; !strings.Contains(got, "level=INFO msg=administration what="+want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	step(`"add account" account=dora by="admin socket" group=Staff`, func() error { return users.Add(ctx, "dora", secret, "Staff") })
	step(`"change password" account=dora`, func() error { return users.SetPassword(ctx, "dora", secret) })
	step(`"set group" account=dora by="admin socket" group=Chat`, func() error { return users.SetGroup(ctx, "dora", "Chat") })
	step(`"set contact" account=alice by="admin socket" contact=bob@example.net subscription=both`, func() error {
		return users.SetRosterItem(ctx, "alice", xmppd.RosterItem{JID: "bob@" + domain, Subscription: "both"})
	})
	step(`"remove contact" account=alice by="admin socket" contact=bob@example.net`, func() error {
		return users.RemoveRosterItem(ctx, "alice", "bob@"+domain)
	})
	step(`"delete account" account=nobody by="admin socket" group="" error=`, func() error {
		if users.Delete(ctx, "nobody") == nil {
			t.Error("nobody was deleted")
		}
		return nil
	})
	step(`"delete account" account=dora`, func() error { return users.Delete(ctx, "dora") })

	admin := online(t, s, "alice", "x")
	step(`"Change a password" account=bob@example.net by=alice@example.net/x`, func() error {
		id := sessionID.FindStringSubmatch(admin.command("node='"+nsAdmin+"#change-user-password'", ""))
		admin.command("node='"+nsAdmin+"#change-user-password' sessionid='"+id[1]+"'", submit("accountjid", "bob@"+domain, "password", secret))
		return nil
	})
	addr, _, _ := s.Addrs()
	step(`"add account" account=erin by="in-band registration"`, func() error {
		c := connect(t, addr)
		c.Open()
		c.Send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>erin</username><password>" + secret + "</password></query></iq>")
		c.Want("id='r'")
		if got := c.Auth(sasl.Plain, "erin", secret); got != "success" {
			t.Error(got)
		}
		return nil
	})
	if strings.Contains(log.String(), secret) {
		t.Error("the log tells a password")
	}
}
