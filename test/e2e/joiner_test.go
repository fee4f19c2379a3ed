package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

const (
	contacts   = 40 // of each author
	partitions = 64 // of what servers keep together
)

// author talks to another one, and changes a contact with each message. Both are to be kept.
type author struct {
	user string
	ear  *harness.Ear
	to   string
	sent int
	stop chan struct{}
	wg   sync.WaitGroup
}

// begin goes on until end, ten times a second.
func (a *author) begin() {
	a.stop = make(chan struct{})
	a.wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-a.stop:
				return
			case <-tick.C:
			}
			if a.ear.TrySend(fmt.Sprintf("<message type='chat' to='%s'><body>%s %d.</body></message>"+
				"<iq type='set' id='c%[3]d.'><query xmlns='jabber:iq:roster'><item jid='c%[4]d@example.org' name='%[3]d.'/></query></iq>",
				a.to, a.user, a.sent, a.sent%contacts)) != nil {
				return // it shows by what is missing
			}
			a.sent++
		}
	})
}

func (a *author) end() {
	close(a.stop)
	a.wg.Wait()
}

var lastOfPage = regexp.MustCompile(`<last>([^<]*)</last>`)

// kept reads an author's contacts and archive at a server, and checks that all is there, each message once.
func kept(t *testing.T, at *harness.Member, a, other *author) {
	t.Helper()
	e := harness.Listen(at.Login(t, a.user, "reader"))
	defer e.Send("</stream:stream>")
	e.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	e.Await(t, "id='roster'", 1)
	for n := max(0, a.sent-contacts); n < a.sent; n++ {
		if item := fmt.Sprintf("jid='c%d@example.org' name='%d.'", n%contacts, n); e.Count(item) != 1 {
			t.Errorf("at %s %s has not the contact %s", at.Name, a.user, item)
		}
	}
	after := ""
	for page := 0; !strings.Contains(e.Heard(), "complete='true'"); page++ {
		e.Send(fmt.Sprintf("<iq type='set' id='p%d.'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>50</max>%s</set></query></iq>", page, after))
		e.Await(t, fmt.Sprintf("id='p%d.'", page), 1)
		e.Await(t, "</fin></iq>", page+1)
		last := lastOfPage.FindAllStringSubmatch(e.Heard(), -1)
		if len(last) != page+1 {
			t.Fatalf("%d pages, %d ends of them", page+1, len(last))
		}
		after = "<after>" + last[page][1] + "</after>"
	}
	for _, x := range []*author{a, other} {
		for n := range x.sent {
			if times := e.Count(fmt.Sprintf("<body>%s %d.</body>", x.user, n)); times != 1 {
				t.Errorf("at %s the archive of %s has message %d of %s %d times", at.Name, a.user, n, x.user, times)
			}
		}
	}
}

// leaveUnderLoad has a server give up its share while a client of it talks with one of the first server, which goes on over that
// server until it is drained and stopped.
func leaveUnderLoad(t *testing.T, sv *harness.Servers, leaver *harness.Member) {
	t.Helper()
	x1 := sv.All[0]
	here, there := harness.Listen(leaver.Online(t, "carol", "c")), harness.Listen(x1.Online(t, "dave", "d"))
	talk := []*harness.Ledger{harness.Keep("here", there, here.JID), harness.Keep("there", here, there.JID)}
	says := func(want string, args ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), binary, append([]string{"xmppd", "cluster"}, args...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, and no %q in\n%s", args, err, want, out)
		}
	}
	says(leaver.Name+" has left the cluster", "remove", "--data", x1.Data, leaver.Name)
	if r := x1.Status(t).Records; r.Lacking != 0 || r.Lost != 0 || r.Copies != 2 {
		t.Errorf("when %s has left: %+v", leaver.Name, r)
	}
	for _, l := range talk {
		l.More(t, 20)
		l.Stop()
	}
	sv.Quiet()
	for i, e := range []*harness.Ear{here, there} {
		if o := talk[i].Settle(t, e); o.Delivered != o.Sent || e.Ended() {
			t.Errorf("%s: %v; ended: %v", e.JID, o, e.Ended())
		}
	}
	here.Send("</stream:stream>")
	says("is drained", "drain", "--data", leaver.Data)
	leaver.Stop(t)
	sv.Whole()
}

// TestJoinUnderLoad: two servers join one that works, and take their share of what it keeps; then one of them, which lives and
// has a client, gives its share up, and a fourth one takes its place; nobody sees an error. The first server, whose clients have written
// all of it, dies: all that was acknowledged is at the two others, each message once.
func TestJoinUnderLoad(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{
		N: 1, Users: []string{"alice", "bob", "carol", "dave"}, Config: "[modules.archive]\ndefault = \"always\"",
	})
	x1 := sv.All[0]
	var both [2]*author
	for i, user := range []string{"alice", "bob"} {
		both[i] = &author{user: user, ear: harness.Listen(x1.Online(t, user, "a"))}
	}
	both[0].to, both[1].to = both[1].ear.JID, both[0].ear.JID
	for _, a := range both {
		a.begin()
	}
	for len(sv.All) < 3 {
		sv.Add()
		sv.Whole()
		sv.Replicated()
	}
	harness.Eventually(t, time.Minute, "each leads a share of it", func() bool {
		leads := 0
		for _, m := range x1.Status(t).Servers {
			if m.Records == nil || m.Records.Copies != partitions || m.Records.Leads == 0 {
				return false
			}
			leads += m.Records.Leads
		}
		return leads == partitions
	})
	leaveUnderLoad(t, sv, sv.All[2])
	sv.Add()
	sv.Whole()
	sv.Replicated()
	for i, a := range both {
		a.end()
		a.ear.Await(t, " type='result' id='c", a.sent)
		a.ear.Await(t, "<body>"+both[1-i].user+" ", both[1-i].sent)
	}
	for i, a := range both {
		if all := a.ear.Heard(); strings.Contains(all, "type='error'") || a.ear.Ended() || a.sent == 0 {
			t.Errorf("%s, who sent %d, saw an error, or the end: %.300q", a.user, a.sent, all[max(0, strings.Index(all, "type='error'")-100):])
		}
		if n, want := a.ear.Count("<body>"), both[1-i].sent; n != want {
			t.Errorf("%s got %d messages of %d", a.user, n, want)
		}
	}
	t.Logf("%d and %d changes while three servers joined and one left", both[0].sent, both[1].sent)
	x1.Kill(t)
	sv.Whole()
	for _, m := range sv.Running() {
		kept(t, m, both[0], both[1])
		kept(t, m, both[1], both[0])
	}
}
