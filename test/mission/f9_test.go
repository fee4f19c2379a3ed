package mission

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
)

// checkBOSH: requests that arrive in any order and several times are handled once and in order; an
// answer is repeated to the byte; presence is grouped; requests are held for less time where
// connections break; what a client that is gone has not got, it gets when it is back, once.
func checkBOSH(t *testing.T) {
	config := "listen_http = \"127.0.0.1:0\"\n[web.bosh]\ninactivity_seconds = 2\nwait_seconds = 20\npresence_delay_ms = 500\n"
	s := harness.StartXMPPD(t, binary, config, "alice", "bob")
	bob := s.Online(t, "bob", "desk")
	permuted(t, s, bob)
	repeated(t, s, bob)
	grouped(t, s, bob)
	shorter(t, s)
	gone(t, s, bob)
	counted(t, s)
}

// permuted sends pairs of requests in the wrong order, and copies of them.
func permuted(t *testing.T, s *harness.XMPPD, bob *harness.Stream) {
	t.Helper()
	alice := loginBOSH(t, s, "alice", "permuted")
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	for range 30 {
		requests := []string{alice.body("", saying(bob.JID, fmt.Sprintf("line %d.", n))), alice.body("", saying(bob.JID, fmt.Sprintf("line %d.", n+1)))}
		n += 2
		var answers []chan string
		for _, i := range rng.Perm(2) {
			for range 1 + rng.IntN(2) {
				a, _ := alice.later(requests[i])
				answers = append(answers, a)
			}
		}
		if got := bob.Want(fmt.Sprintf("line %d.</body></message>", n-1)); strings.Count(got, "line ") != 2 || !strings.Contains(got, fmt.Sprintf("line %d.</body></message>", n-2)) {
			t.Errorf("handled twice, or not in order: %s", got)
		}
		for _, a := range answers {
			for len(a) == 0 { // something to answer with
				bob.Send(saying("alice@"+harness.Domain+"/permuted", "got it"))
				bob.Sync()
				time.Sleep(time.Millisecond) // a poll's pause
			}
			if got := <-a; strings.Contains(got, "terminate") {
				t.Fatal(got)
			}
		}
	}
	alice.want("type='terminate'", saying(bob.JID, "the last"), "type='terminate'")
	if all := bob.Want("the last"); strings.Contains(all, "line ") { // all of it since the last line
		t.Errorf("something came again: %s", all)
	}
}

// repeated breaks a connection whose answer is under way, and asks again.
func repeated(t *testing.T, s *harness.XMPPD, bob *harness.Stream) {
	t.Helper()
	alice := loginBOSH(t, s, "alice", "repeated")
	for i := range 10 {
		request := alice.body("", "")
		broken, cut := alice.later(request)
		if i%2 == 0 {
			bob.Send(saying("alice@"+harness.Domain+"/repeated", fmt.Sprintf("line %d.", i)))
			first := <-broken
			for range 3 {
				if again := alice.post(t.Context(), request); again != first || !strings.Contains(first, fmt.Sprintf("line %d.", i)) {
					t.Errorf("answered %q, then %q", first, again)
				}
			}
			continue
		}
		cut()
		<-broken
		bob.Send(saying("alice@"+harness.Domain+"/repeated", fmt.Sprintf("line %d.", i)))
		if got := alice.post(t.Context(), request); strings.Count(got, "<message") != 1 || !strings.Contains(got, fmt.Sprintf("line %d.", i)) {
			t.Errorf("after a broken connection: %q", got)
		}
	}
	alice.want("type='terminate'", "", "type='terminate'")
}

// grouped: presence waits for more of it, and of a sender the latest counts.
func grouped(t *testing.T, s *harness.XMPPD, bob *harness.Stream) {
	t.Helper()
	alice := loginBOSH(t, s, "alice", "grouped")
	answer, _ := alice.later(alice.body("", ""))
	for _, show := range []string{"away", "dnd", "xa"} {
		bob.Send("<presence to='alice@" + harness.Domain + "/grouped'><show>" + show + "</show></presence>")
	}
	bob.Sync()
	if got := <-answer; strings.Count(got, "<presence") != 1 || !strings.Contains(got, "<show>xa</show>") {
		t.Errorf("presence: %q", got)
	}
	alice.want("type='terminate'", "", "type='terminate'")
}

// shorter: a connection is cut after a while, so the next ones are answered sooner than that.
func shorter(t *testing.T, s *harness.XMPPD) {
	t.Helper()
	alice := loginBOSH(t, s, "alice", "shorter")
	request := alice.body("", "")
	broken, cut := alice.later(request)
	time.Sleep(7 * time.Second) // the cut connection's life
	cut()
	<-broken
	begin := time.Now()
	if got := alice.post(t.Context(), request); strings.Contains(got, "terminate") {
		t.Fatal(got)
	}
	if d := time.Since(begin); d > 19*time.Second {
		t.Errorf("after a connection that was cut after 7 s, the next one is held for %v; 20 s are agreed", d)
	}
	alice.want("type='terminate'", "", "type='terminate'")
}

// gone: a client vanishes, with messages waiting, and one in an answer that it has not got.
func gone(t *testing.T, s *harness.XMPPD, bob *harness.Stream) {
	t.Helper()
	alice := loginBOSH(t, s, "alice", "gone")
	alice.want("", "<presence xmlns='jabber:client'/><iq xmlns='jabber:client' type='get' id='p' to='"+harness.Domain+"'><ping xmlns='urn:xmpp:ping'/></iq>", "id='p'")
	held, cut := alice.later(alice.body("", ""))
	bob.Sync()
	cut()
	<-held
	for i := range 5 {
		bob.Send(saying("alice@"+harness.Domain+"/gone", fmt.Sprintf("later %d.", i)))
	}
	bob.Sync()
	harness.Eventually(t, time.Minute, "the end of the session", func() bool {
		return strings.Contains(metrics(t, s), "\nxmppd_bosh_sessions 0\n")
	})
	back := s.Login(t, "alice", "back")
	back.Send("<presence/>")
	var got strings.Builder
	for i := range 5 {
		got.WriteString(back.Want(fmt.Sprintf("later %d.", i)))
	}
	got.WriteString(back.Sync())
	if n := strings.Count(got.String(), "<body>later"); n != 5 {
		t.Errorf("%d of 5 messages came back: %s", n, got.String())
	}
}

// counted: what happened is in the metrics.
func counted(t *testing.T, s *harness.XMPPD) {
	t.Helper()
	text := metrics(t, s)
	for _, name := range []string{"requests_total", "retransmissions_total", "broken_total", "presences_superseded_total"} {
		if !regexp.MustCompile(`(?m)^xmppd_bosh_` + name + ` [1-9]`).MatchString(text) {
			t.Errorf("xmppd_bosh_%s counts nothing", name)
		}
	}
}
