package bosh_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/bosh"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// in runs a test with a server and fake time.
func in(t *testing.T, cfg bosh.Config, f func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cfg)
		defer w.close(t)
		f(t, w)
	})
}

// send starts a request; its answer comes later.
func (w *world) send(sid string, rid int64, attrs, payload string) (answer chan string, cancel context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	answer = make(chan string, 1)
	go func() { answer <- w.do(ctx, body(sid, rid, attrs, payload)) }()
	synctest.Wait()
	return answer, cancel
}

// tell sends stanzas to alice.
func (w *world) tell(t failer, stanzas ...string) {
	var b session.Batch
	alice := w.find(t, "alice@"+domain+"/r")
	for _, s := range stanzas {
		b.Send(alice, []byte(s), nil, nil, nil)
	}
	b.Flush()
	synctest.Wait()
}

func chat(n int) string {
	return fmt.Sprintf("<message from='peer@"+domain+"/x'><body>%d</body></message>", n)
}

func presence(from, show string) string {
	return "<presence from='" + from + "'><show>" + show + "</show></presence>"
}

func pending(c chan string) bool { return len(c) == 0 }

// TestConditions: each violation ends the session with its condition (XEP-0124 section 17.2).
func TestConditions(t *testing.T) {
	for name, tc := range map[string]struct {
		raw  string // a request of its own; %d is the next rid, SID the session
		want string
	}{
		"no XML":               {"hello", "bad-request"},
		"another element":      {"<iq xmlns='jabber:client'/>", "bad-request"},
		"another namespace":    {"<body rid='1' to='example.net'/>", "bad-request"},
		"no rid":               {"<body xmlns='" + nsBind + "' to='example.net'/>", "bad-request"},
		"a rid that is none":   {"<body xmlns='" + nsBind + "' to='example.net' rid='x'/>", "bad-request"},
		"a rid too large":      {"<body xmlns='" + nsBind + "' to='example.net' rid='9007199254740992'/>", "bad-request"},
		"no host":              {"<body xmlns='" + nsBind + "' rid='1'/>", "improper-addressing"},
		"another host":         {"<body xmlns='" + nsBind + "' rid='1' to='example.org'/>", "host-unknown"},
		"unknown session":      {"<body xmlns='" + nsBind + "' rid='1' sid='x'/>", "item-not-found"},
		"too long":             {"<body xmlns='" + nsBind + "' rid='1' sid='x'>" + strings.Repeat("x", 1<<20) + "</body>", "policy-violation"},
		"comment":              {"<body xmlns='" + nsBind + "' rid='1' to='example.net'><!-- x --></body>", "bad-request"},
		"outside the window":   {body("SID", 9, "", ""), "item-not-found"},
		"before the window":    {body("SID", 1, "", ""), "item-not-found"},
		"text between stanzas": {body("SID", 6, "", "text"), "remote-stream-error"},
		"spoofed from":         {body("SID", 6, "", "<message xmlns='jabber:client' from='bob@example.net' to='peer@example.net'/>"), "remote-stream-error"},
		"restart when bound":   {body("SID", 6, "xmpp:restart='true' to='example.net'", ""), "remote-stream-error"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, quick(), func(t *testing.T, w *world) {
				sid, _ := w.login(t, "alice", create, 2) // 2 to 5
				got := w.do(context.Background(), strings.ReplaceAll(tc.raw, "SID", sid))
				if !strings.Contains(got, "type='terminate'") || !strings.Contains(got, "condition='"+tc.want+"'") {
					t.Fatalf("answered %q, want %s", got, tc.want)
				}
				if stream := tc.want == "remote-stream-error"; strings.Contains(got, "<stream:error") != stream {
					t.Errorf("stream error: %q", got)
				}
			})
		})
	}
}

// TestOthersAreTold: a request that breaks the rules ends the one that is held, too.
func TestOthersAreTold(t *testing.T) {
	in(t, quick(), func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create, 2)
		held, _ := w.send(sid, rid+1, "", "")
		bad, _ := w.send(sid, rid+9, "", "")
		if got := <-bad; !strings.Contains(got, "item-not-found") {
			t.Error(got)
		}
		if got := <-held; !strings.Contains(got, "other-request") {
			t.Error(got)
		}
		if got := w.do(context.Background(), body(sid, rid+2, "", "")); !strings.Contains(got, "terminate") {
			t.Error(got)
		}
	})
}

// TestTooManyRequests: three at a time, where two are agreed; a pause may come in addition.
func TestTooManyRequests(t *testing.T) {
	in(t, quick(), func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create, 2)
		held, _ := w.send(sid, rid+1, "", "")
		pause, _ := w.send(sid, rid+3, "pause='1'", "")
		second, _ := w.send(sid, rid+2, "", "")
		if got := <-held + <-second + <-pause; strings.Contains(got, "terminate") {
			t.Fatal(got)
		}
		held, _ = w.send(sid, rid+4, "", "")
		third, _ := w.send(sid, rid+6, "", "")
		if got := <-third; !strings.Contains(got, "policy-violation") {
			t.Error(got)
		}
		if got := <-held; !strings.Contains(got, "other-request") {
			t.Error(got)
		}
	})
}

// TestKeys: section 15 of XEP-0124, with a change of the sequence.
func TestKeys(t *testing.T) {
	hash := func(s string) string {
		sum := sha1.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	in(t, quick(), func(t *testing.T, w *world) {
		k := []string{"seed"}
		for range 5 {
			k = append(k, hash(k[len(k)-1]))
		}
		got := w.do(context.Background(), "<body xmlns='"+nsBind+"' rid='1' newkey='"+k[5]+"' "+strings.ReplaceAll(create, "xmpp:version='1.0'", "")+"/>")
		sid := sidOf.FindStringSubmatch(got)[1]
		abort := "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>" // answered with a failure
		for rid, attrs := range []string{2: "key='" + k[4] + "'", 3: "key='" + k[3] + "' newkey='" + hash("other") + "'", 4: "key='other'"} {
			if rid < 2 {
				continue
			}
			payload := abort
			if rid == 4 { // the third failure would end the stream
				payload = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"
			}
			if got := w.do(context.Background(), body(sid, int64(rid), attrs, payload)); strings.Contains(got, "terminate") {
				t.Fatalf("%d: %s", rid, got)
			}
		}
		if got := w.do(context.Background(), body(sid, 4, "key='stolen'", "")); !strings.Contains(got, "item-not-found") {
			t.Errorf("a copy with another key: %s", got)
		}
	})
	in(t, quick(), func(t *testing.T, w *world) {
		got := w.do(context.Background(), "<body xmlns='"+nsBind+"' rid='1' newkey='"+hash("a")+"' to='"+domain+"'/>")
		if got := w.do(context.Background(), body(sidOf.FindStringSubmatch(got)[1], 2, "key='b'", "")); !strings.Contains(got, "item-not-found") {
			t.Errorf("a wrong key: %s", got)
		}
	})
}

func TestPause(t *testing.T) {
	in(t, quick(), func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create, 2)
		held, _ := w.send(sid, rid+1, "", "")
		pause, _ := w.send(sid, rid+2, "pause='100'", "")
		if got := <-held + <-pause; strings.Contains(got, "terminate") {
			t.Fatal(got)
		}
		time.Sleep(90 * time.Second)
		w.tell(t, chat(0))
		next, _ := w.send(sid, rid+3, "", "")
		if got := <-next; !strings.Contains(got, "<body>0</body>") {
			t.Fatalf("after a pause: %s", got)
		}
		time.Sleep(40 * time.Second) // no pause any more
		synctest.Wait()
		if got := w.do(context.Background(), body(sid, rid+4, "", "")); !strings.Contains(got, "item-not-found") {
			t.Errorf("after a silence: %s", got)
		}
	})
}

// TestPolling: a session without held requests is answered at once, and may not ask in vain too often.
func TestPolling(t *testing.T) {
	in(t, quick(), func(t *testing.T, w *world) {
		got := w.do(context.Background(), "<body xmlns='"+nsBind+"' rid='1' wait='0' hold='0' to='"+domain+"'/>")
		if !strings.Contains(got, "requests='1'") || !strings.Contains(got, "hold='0'") || !strings.Contains(got, "polling='5'") || !strings.Contains(got, "<mechanisms") {
			t.Fatal(got)
		}
		sid := sidOf.FindStringSubmatch(got)[1]
		rid := int64(1)
		poll := func(attrs, payload string) string {
			rid++
			return w.do(context.Background(), body(sid, rid, attrs, payload))
		}
		until := func(attrs, payload, want string) {
			t.Helper()
			got := poll(attrs, payload)
			for range 3 {
				if strings.Contains(got, want) {
					return
				}
				time.Sleep(6 * time.Second)
				got = poll("", "")
			}
			t.Fatalf("no %q in %q", want, got)
		}
		until("", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHBlbmNpbA==</auth>", "<success")
		until("to='"+domain+"' xmpp:restart='true'", "", "<bind")
		until("", "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>", "<jid>")
		w.tell(t, chat(7))
		until("", "", "<body>7</body>")
		time.Sleep(6 * time.Second)
		if got := poll("", ""); strings.Contains(got, "terminate") {
			t.Fatal(got)
		}
		if got := poll("", ""); !strings.Contains(got, "policy-violation") {
			t.Fatalf("polled at once again: %s", got)
		}
	})
}

// TestAdaptiveWait: where connections are cut after 30 s, requests are answered before that.
func TestAdaptiveWait(t *testing.T) {
	in(t, bosh.Config{Inactivity: time.Minute}, func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create, 2)
		rid++
		held, cut := w.send(sid, rid, "", "")
		time.Sleep(30 * time.Second)
		cut()
		synctest.Wait()
		<-held
		for range 3 {
			begin := time.Now()
			held, _ = w.send(sid, rid, "", "")
			<-held
			if d := time.Since(begin); d >= 28*time.Second || d < 15*time.Second {
				t.Errorf("held for %v", d)
			}
			rid++
		}
		w.do(context.Background(), body(sid, rid, "type='terminate'", ""))
		synctest.Wait()
	})
}

// TestPresenceGroups: presence waits a little for more of it, and of each sender the latest counts.
func TestPresenceGroups(t *testing.T) {
	cfg := quick()
	cfg.PresenceDelay = 500 * time.Millisecond
	in(t, cfg, func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create, 2)
		held, _ := w.send(sid, rid+1, "", "")
		w.tell(t, presence("a@x/1", "away"), presence("b@x/1", "dnd"))
		w.tell(t, presence("a@x/1", "chat"), "<presence from='room@x/a'><x xmlns='http://jabber.org/protocol/muc#user'/></presence>")
		if pending(held) { // the last one is not grouped
			t.Fatal("other presence waits")
		}
		got := <-held
		if strings.Contains(got, "away") || strings.Index(got, "dnd") > strings.Index(got, "chat") || strings.Count(got, "<presence") != 3 {
			t.Error(got)
		}
		held, _ = w.send(sid, rid+2, "", "")
		w.tell(t, presence("a@x/1", "away"))
		if !pending(held) {
			t.Error("presence did not wait")
		}
		w.tell(t, "<presence from='a@x/1' type='unavailable'/>")
		time.Sleep(cfg.PresenceDelay)
		synctest.Wait()
		if pending(held) {
			t.Fatal("presence still waits")
		}
		if got := <-held; strings.Contains(got, "away") || !strings.Contains(got, "unavailable") {
			t.Error(got)
		}
		held, _ = w.send(sid, rid+3, "", "")
		w.tell(t, presence("a@x/1", "away"))
		w.tell(t, chat(1)) // does not wait, nor does what is before it
		if pending(held) {
			t.Fatal("a message waits")
		}
		if got := <-held; !strings.Contains(got, "away") || !strings.Contains(got, "<body>1</body>") {
			t.Error(got)
		}
		w.tell(t, presence("a@x/1", "away"), presence("a@x/1", "xa"))
		held, _ = w.send(sid, rid+4, "", "")
		time.Sleep(cfg.PresenceDelay)
		synctest.Wait()
		if got := <-held; strings.Contains(got, "away") || !strings.Contains(got, "xa") {
			t.Error(got)
		}
	})
}

// TestGoneClient: when a client is gone, whatever it has not got goes back: what waited, what was
// in an answer whose connection broke, and what it has not acknowledged.
func TestGoneClient(t *testing.T) {
	gone := func(t *testing.T, faults bosh.Faults, acks string, story func(w *world, sid string, rid int64)) (kept []string) {
		cfg := quick()
		cfg.Faults = faults
		in(t, cfg, func(t *testing.T, w *world) {
			sid, rid := w.login(t, "alice", create+acks, 2)
			story(w, sid, rid)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if w.table.Get("alice@"+domain+"/r") != nil {
				t.Error("the session is still there")
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			kept = w.kept
		})
		return kept
	}
	for name, tc := range map[string]struct {
		acks  string
		story func(t *testing.T, w *world, sid string, rid int64)
		want  []string
	}{
		"waiting": {"", func(t *testing.T, w *world, _ string, _ int64) { w.tell(t, chat(0), chat(1)) }, []string{"0", "1"}},
		"broken connection": {"", func(t *testing.T, w *world, sid string, rid int64) {
			_, cut := w.send(sid, rid+1, "", "")
			cut()
			synctest.Wait()
			w.tell(t, chat(0))
		}, []string{"0"}},
		"answered, nothing came back": {"", func(t *testing.T, w *world, sid string, rid int64) {
			w.send(sid, rid+1, "", "")
			w.tell(t, chat(0))
			w.tell(t, chat(1))
		}, []string{"0", "1"}},
		"answered, went on": {"", func(t *testing.T, w *world, sid string, rid int64) {
			w.send(sid, rid+1, "", "")
			w.tell(t, chat(0))
			w.send(sid, rid+2, "", "")
		}, nil},
		"not acknowledged": {" ack='1'", func(t *testing.T, w *world, sid string, rid int64) {
			w.send(sid, rid+1, "", "")
			w.send(sid, rid+2, fmt.Sprintf("ack='%d'", rid), "") // answers rid+1
			w.tell(t, chat(0))                                   // in the answer of rid+2
		}, []string{"0"}},
		"terminated": {"", func(t *testing.T, w *world, sid string, rid int64) {
			held, _ := w.send(sid, rid+1, "", "")
			w.send(sid, rid+2, "type='terminate'", "<presence xmlns='jabber:client' type='unavailable'/>")
			if got := <-held; !strings.Contains(got, "terminate") {
				t.Error(got)
			}
		}, nil},
		"terminated without a request to carry it": {"", func(t *testing.T, w *world, sid string, rid int64) {
			w.tell(t, chat(0))
			answer, _ := w.send(sid, rid+1, "type='terminate'", "")
			if got := <-answer; !strings.Contains(got, "<body>0</body>") { // this one does
				t.Error(got)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := gone(t, bosh.Faults{}, tc.acks, func(w *world, sid string, rid int64) { tc.story(t, w, sid, rid) })
			if !slices.Equal(got, tc.want) {
				t.Errorf("went back: %v, want %v", got, tc.want)
			}
		})
	}
	tc := func(w *world, sid string, rid int64) {
		w.send(sid, rid+1, "", "")
		w.tell(t, chat(0))
	}
	if got := gone(t, bosh.Faults{DropKept: true}, "", tc); len(got) != 0 {
		t.Errorf("the planted bug changes nothing: %v", got)
	}
}

// TestConflict: a client whose session was taken over learns why with its next request.
func TestConflict(t *testing.T) {
	in(t, quick(), func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create, 2)
		held, _ := w.send(sid, rid+1, "", "")
		w.login(t, "alice", create, 100)
		if got := <-held; !strings.Contains(got, "remote-stream-error") || !strings.Contains(got, "<conflict") {
			t.Error(got)
		}
		if again := w.do(context.Background(), body(sid, rid+1, "", "")); !strings.Contains(again, "<conflict") {
			t.Errorf("a copy: %s", again)
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(quick())
		sid, rid := w.login(t, "alice", create, 2)
		held, _ := w.send(sid, rid+1, "", "")
		w.do(context.Background(), "<body xmlns='"+nsBind+"' rid='1' to='"+domain+"'/>") // one that is not logged in
		w.close(t)
		if got := <-held; !strings.Contains(got, "condition='system-shutdown'") {
			t.Error(got)
		}
	})
}

// TestReport: a client that acknowledges less than it was sent is told (XEP-0124 section 8.3).
func TestReport(t *testing.T) {
	in(t, quick(), func(t *testing.T, w *world) {
		sid, rid := w.login(t, "alice", create+" ack='1'", 2)
		first, _ := w.send(sid, rid+1, "", "")
		second, _ := w.send(sid, rid+2, fmt.Sprintf("ack='%d'", rid), "")
		if got := <-first; !strings.Contains(got, fmt.Sprintf("ack='%d'", rid+2)) {
			t.Errorf("no acknowledgement: %s", got)
		}
		time.Sleep(3 * time.Second)
		w.send(sid, rid+3, fmt.Sprintf("ack='%d'", rid), "") // has not got the first answer
		if got := <-second; !strings.Contains(got, fmt.Sprintf("report='%d'", rid+1)) || !strings.Contains(got, "time='3000'") {
			t.Errorf("no report: %s", got)
		}
	})
}

// TestIdleSessionCosts: a session between two requests holds no goroutine, and little memory.
func TestIdleSessionCosts(t *testing.T) {
	w := newWorld(bosh.Config{Inactivity: time.Hour})
	defer w.close(t)
	for i := range 100 { // pools and tables grow once
		w.login(t, fmt.Sprintf("warm%d", i), create, 2)
	}
	measure := func() (heap uint64, goroutines int) {
		deadline := time.Now().Add(10 * time.Second)
		for g := runtime.NumGoroutine(); ; g = runtime.NumGoroutine() {
			runtime.GC()
			if n := runtime.NumGoroutine(); n == g && n < 20 || time.Now().After(deadline) {
				break
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	const sessions = 1000
	heap, goroutines := measure()
	for i := range sessions {
		w.login(t, fmt.Sprintf("user%d", i), create, 2)
	}
	after, left := measure()
	per := int64(after-heap) / sessions
	t.Logf("%d bytes an idle session", per)
	if left > goroutines+2 {
		t.Errorf("%d goroutines for %d idle sessions", left-goroutines, sessions)
	}
	if per > 4096 {
		t.Errorf("%d bytes an idle session", per)
	}
}
