package mission

import (
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
	"github.com/rosterdb/rosterdb/xmppd/modules/contact"
)

// checkModules: each extension is a package of its name, and one that the
// configuration switches off is neither announced nor answered, while all the
// others are.
func checkModules(t *testing.T) {
	everything := announced(t, nil)
	if len(everything.modules) < 15 {
		t.Errorf("only %v are extensions", everything.modules)
	}
	// What tells that a module is there, where it isn't a feature.
	silent := map[string]string{"bind": "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"}
	for _, name := range everything.modules {
		without := announced(t, []string{name})
		if slices.Contains(without.modules, name) || len(without.modules) != len(everything.modules)-1 {
			t.Errorf("with %s off these are on: %v", name, without.modules)
		}
		for _, f := range without.features {
			if !slices.Contains(everything.features, f) && !strings.HasPrefix(f, "<c ") { // the hash differs
				t.Errorf("with %s off there is more: %s", name, f)
			}
		}
		if probe, ok := silent[name]; ok {
			if !strings.Contains(without.ask(t, "set", probe), "<service-unavailable") || strings.Contains(everything.ask(t, "set", probe), "type='error'") {
				t.Errorf("%s is answered all the same when it is off, or not when it is on", name)
			}
			continue
		}
		if name != "disco" && len(without.features) >= len(everything.features) {
			t.Errorf("with %s off the same is announced: %v", name, without.features)
		}
	}
	for name, payload := range map[string]string{
		"ping": "<ping xmlns='urn:xmpp:ping'/>", "version": "<query xmlns='jabber:iq:version'/>", "time": "<time xmlns='urn:xmpp:time'/>",
		"disco": "<query xmlns='http://jabber.org/protocol/disco#info'/>", "last": "<query xmlns='jabber:iq:last'/>",
		"register": "<query xmlns='jabber:iq:register'/>",
	} {
		off := announced(t, []string{name})
		if got := off.ask(t, "get", payload); !strings.Contains(got, "<service-unavailable") {
			t.Errorf("%s is off and answers %s", name, got)
		}
		if got := everything.ask(t, "get", payload); strings.Contains(got, "type='error'") {
			t.Errorf("%s is on and answers %s", name, got)
		}
	}
}

// offer is what a server with some modules offers.
type offer struct {
	modules  []string // that are on
	features []string // of the stream, the server and the account
	client   *harness.Stream
}

// ask sends a request to the server and returns what comes.
func (o *offer) ask(t *testing.T, typ, payload string) string {
	t.Helper()
	o.client.Send("<iq type='" + typ + "' id='ask' to='" + harness.Domain + "'>" + payload + "</iq>")
	got := o.client.Want("id='ask'")
	return got + o.client.Want(">") + o.drain(t)
}

// drain returns what has come up to the answer of a request that every server refuses.
func (o *offer) drain(t *testing.T) string {
	t.Helper()
	o.client.Send("<iq type='get' id='end' to='" + harness.Domain + "'><nothing xmlns='of:this:kind'/></iq>")
	got := o.client.Want("id='end'")
	o.client.Want("</iq>")
	return got[:strings.LastIndex(got, "<iq")]
}

var featureElement = regexp.MustCompile(`<feature var='[^']+'/>|<field var='[^']+'|<[a-z]+ xmlns='[^']+'[^>]*/>`)

// announced starts a server without some modules and looks at it.
func announced(t *testing.T, disable []string) *offer {
	t.Helper()
	cfg := xmppd.Defaults()
	cfg.Domain, cfg.Data, cfg.ListenC2S, cfg.ListenTLS, cfg.InsecurePlaintext = harness.Domain, t.TempDir(), "127.0.0.1:0", "", true
	cfg.Modules.Disable = disable
	cfg.Modules.Contact = contact.Config{Abuse: []string{"mailto:abuse@example.net"}}
	s, err := xmppd.Start(t.Context(), cfg, xmppd.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Accounts().Add(t.Context(), "alice", harness.Password, ""); err != nil {
		t.Fatal(err)
	}
	o := new(offer)
	for _, info := range s.Specifications() {
		if !strings.Contains(info.Name, "/") && !slices.Contains(o.modules, info.Name) {
			o.modules = append(o.modules, info.Name)
		}
	}
	addr, _, _ := s.Addrs()
	_, all := xmppraw.Authenticate(t, addr, "alice")
	o.client = xmppraw.LoginAt(t, addr, "alice", "desk")
	for _, to := range []string{harness.Domain, "alice@" + harness.Domain} {
		o.client.Send("<iq type='get' id='info' to='" + to + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		all += o.client.Want("id='info'") + o.drain(t)
	}
	o.features = featureElement.FindAllString(all, -1)
	return o
}
