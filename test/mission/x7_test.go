package mission

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkPresencePolicies: presence that comes too fast is thinned out and its last one arrives;
// directed presence is off, and large presence refused, where the operator says so; a session hides
// and shows itself. All of it is counted.
func checkPresencePolicies(t *testing.T) {
	s := harness.StartXMPPD(t, binary, "listen_http = \"127.0.0.1:0\"\n[presence]\nper_minute = 600\nbytes = 500\ndirected = false\n", "alice", "bob")
	watcher, a := s.Online(t, "alice", "watcher"), s.Login(t, "alice", "desk")
	var flood strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&flood, "<presence><status>%03d.</status></presence>", i)
	}
	a.Send(flood.String())
	if got := strings.Count(watcher.Want("<status>999.</status>"), "<presence"); got > 900 {
		t.Errorf("%d of 1,000 presences came at a limit of 600 a minute", got)
	}
	a.Sync()

	a.Send("<presence to='bob@" + harness.Domain + "'/>")
	a.Want("<policy-violation")
	a.Send("<presence><status>" + strings.Repeat("x", 500) + "</status></presence>")
	a.Want("<policy-violation")

	a.Send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
	a.Want("id='i'/>")
	watcher.Want("from='" + a.JID + "' type='unavailable'")
	a.Send("<presence><status>hidden</status></presence>")
	a.Sync()
	if got := watcher.Sync(); strings.Contains(got, "hidden") {
		t.Errorf("an invisible session was seen: %q", got)
	}
	text := metrics(t, s)
	for _, m := range []string{"xmppd_invisible_sessions 1", `xmppd_presence_refused_total{policy="directed"} 1`, `xmppd_presence_refused_total{policy="size"} 1`} {
		if !strings.Contains(text, m) {
			t.Errorf("metrics without %q", m)
		}
	}
	if strings.Contains(text, "xmppd_presence_late_total 0") || !strings.Contains(text, "xmppd_presence_late_total ") {
		t.Error("what came too fast was not counted")
	}
	a.Send("<iq type='set' id='v'><visible xmlns='urn:xmpp:invisible:1'/></iq><presence><status>back</status></presence>")
	watcher.Want("<status>back</status>")
}

// metrics fetches the metrics of a server.
func metrics(t *testing.T, s *harness.XMPPD) string {
	t.Helper()
	client := http.Client{Timeout: harness.Patience}
	resp, err := client.Get("http://" + s.Addr(t, "http") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
