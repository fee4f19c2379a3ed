package mission

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/xmppconn"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkModules: an extension that the configuration switches off is neither
// announced nor answered, and the others are.
func checkModules(t *testing.T) {
	for _, off := range []string{"", "version"} {
		config := filepath.Join(t.TempDir(), "xmppd.toml")
		if err := os.WriteFile(config, []byte("[modules]\ndisable = [\""+off+"\"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if off == "" {
			config = ""
		}
		c := harness.Start(t, devcluster.Options{Binary: binary, Nodes: 1, Partitions: 1, ServerConfig: config})
		info := c.Info()
		cfg, err := info.Config("user1")
		if err != nil {
			t.Fatal(err)
		}
		user := harness.Login(t, cfg)
		features := string(user.IQ("localhost", "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"))
		for _, extension := range []struct{ name, ns, payload string }{
			{"ping", "urn:xmpp:ping", "<ping xmlns='urn:xmpp:ping'/>"},
			{"version", "jabber:iq:version", "<query xmlns='jabber:iq:version'/>"},
		} {
			on := extension.name != off
			if strings.Contains(features, extension.ns) != on {
				t.Errorf("with %q off: %s announced %v: %s", off, extension.name, !on, features)
			}
			_, err := user.TryIQ(context.Background(), "localhost", "get", extension.payload)
			var refused *xmppconn.StanzaError
			if on && err != nil || !on && (!errors.As(err, &refused) || refused.Condition != "service-unavailable") {
				t.Errorf("with %q off: %s answered %v", off, extension.name, err)
			}
		}
	}
}
