package mission

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkArchive: what a user has received, whose server is then killed, comes back from the
// archive page by page, under the ids that the messages bore, to any of the user's clients.
func checkArchive(t *testing.T) {
	const n, size = 25, 10
	data, config := t.TempDir(), "[modules.archive]\ndefault = \"always\"\n"
	s := harness.StartXMPPDIn(t, binary, data, config, "alice", "bob")
	alice, bob := s.Online(t, "alice", "desk"), s.Online(t, "bob", "phone")
	given := regexp.MustCompile(`<stanza-id xmlns='urn:xmpp:sid:0' by='bob@` + harness.Domain + `' id='([^']*)'/>`)
	var want []string
	for i := range n {
		alice.Send(fmt.Sprintf("<message type='chat' to='%s'><body>%d</body></message>", bob.JID, i))
		id := given.FindStringSubmatch(bob.Want("</message>"))
		if id == nil {
			t.Fatalf("message %d bears no id", i)
		}
		want = append(want, id[1])
	}
	s.Kill(t)
	s = harness.StartXMPPDIn(t, binary, data, config)
	bob = s.Online(t, "bob", "tablet")
	result := regexp.MustCompile(`<result xmlns='urn:xmpp:mam:2' id='([^']*)'>.*?<body>(\d+)</body>`)
	var got []string
	for page, last := 0, ""; page < 4 && len(got) < n; page++ {
		bob.Send(fmt.Sprintf("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>%d</max><after>%s</after></set></query></iq>", size, last))
		answer := bob.Sync()
		results := result.FindAllStringSubmatch(answer, -1)
		complete := strings.Contains(answer, "complete='true'")
		if len(results) != min(size, n-len(got)) || complete != (len(got)+len(results) == n) {
			t.Fatalf("page %d has %d messages, complete: %v: %q", page, len(results), complete, answer)
		}
		for _, r := range results {
			if r[2] != fmt.Sprint(len(got)) {
				t.Errorf("message %s where %d is due", r[2], len(got))
			}
			got = append(got, r[1])
		}
		last = got[len(got)-1]
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the archive has the ids %q, the messages bore %q", got, want)
	}
}
