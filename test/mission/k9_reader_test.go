package mission

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// reader reads what a server keeps of accounts.
type reader struct {
	t    *testing.T
	at   *harness.XMPPD
	kept map[string][]int
}

// note puts what a pattern finds in a text under its key: the pattern has the version in its last group, and before it what
// the key is about, if that differs.
func (r *reader) note(text, pattern, key string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[len(m)-1]) // digits
		k := key
		if len(m) > 2 {
			k = fmt.Sprintf(key, m[1])
		}
		r.kept[k] = append(r.kept[k], n)
	}
}

// records reads contacts, private XML, vCard and archive of a writer's account.
func (r *reader) records(user string) {
	e := harness.Listen(r.at.Login(r.t, user, "reader"))
	e.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><iq type='get' id='vcard'><vCard xmlns='vcard-temp'/></iq>")
	for i := range privates {
		e.Send(fmt.Sprintf("<iq type='get' id='private'><query xmlns='jabber:iq:private'><e xmlns='e:%d'/></query></iq>", i))
	}
	e.Await(r.t, "id='roster'", 1)
	e.Await(r.t, "id='vcard'", 1)
	e.Await(r.t, "id='private'", privates)
	e.Send("</stream:stream>")
	harness.Eventually(r.t, harness.Patience, "the stream ends", e.Ended)
	heard := e.Heard()
	r.note(heard, `jid='c(\d+)@example.org' name='(\d+)\.'`, "contact %s of "+user)
	r.note(heard, `<e xmlns='e:(\d+)'>(\d+)\.</e>`, "element %s of "+user)
	r.note(heard, `<FN>(\d+)\.</FN>`, "vCard of "+user)
}

var lastOfPage = regexp.MustCompile(`<last>([^<]*)</last>`)

// archive reads what the archive of an account has of a writer.
func (r *reader) archive(user, writer string) {
	e := harness.Listen(r.at.Login(r.t, user, "reader"))
	after := ""
	for page := 1; !strings.Contains(e.Heard(), "complete='true'"); page++ {
		e.Send(fmt.Sprintf("<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max>%s</set></query></iq>", after))
		e.Await(r.t, "</fin></iq>", page)
		last := lastOfPage.FindAllStringSubmatch(e.Heard(), -1)
		if len(last) != page {
			break // the archive is empty
		}
		after = "<after>" + last[page-1][1] + "</after>"
	}
	e.Send("</stream:stream>")
	r.numbered(e.Heard(), writer, "message %s in the archive of "+user)
}

// messages reads what is kept for the account that a writer has sent to, which takes it away: so many at least.
func (r *reader) messages(writer string, least int) {
	e := harness.Listen(r.at.Login(r.t, away(writer), "reader"))
	e.Send("<presence/>")
	harness.Eventually(r.t, harness.Patience, "what is kept is delivered", func() bool { return e.Count("</body>") >= least })
	// Were there more it would come before this.
	e.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	e.Await(r.t, "id='roster'", 1)
	e.Send("</stream:stream>")
	harness.Eventually(r.t, harness.Patience, "the stream ends", e.Ended)
	r.numbered(e.Heard(), writer, "message %s of "+writer+", kept")
}

// numbered notes the messages of a writer in a text.
func (r *reader) numbered(text, writer, key string) {
	for _, m := range regexp.MustCompile(`<body>`+writer+` (\d+)\.</body>`).FindAllStringSubmatch(text, -1) {
		k := fmt.Sprintf(key, m[1])
		r.kept[k] = append(r.kept[k], 1)
	}
}
