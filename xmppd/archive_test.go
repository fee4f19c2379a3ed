package xmppd_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/xmppraw"
	"github.com/rosterdb/rosterdb/xmppd"
)

const nsArchive = "urn:xmpp:mam:2"

// archived is a server that archives, unless users want it otherwise.
func archived(t *testing.T, def string) *xmppd.Server {
	t.Helper()
	return startServer(t, options{cfg: func(c *xmppd.Config) { c.Modules.Archive.Default = def }})
}

// mam sends a request to the own archive and returns all that comes up to its answer.
func (c *client) mam(typ, payload string) string {
	c.T.Helper()
	c.Send("<iq type='" + typ + "' id='mam'>" + payload + "</iq>")
	return c.Sync()
}

func mamQuery(fields map[string]string, set string) string {
	x := "<field var='FORM_TYPE' type='hidden'><value>" + nsArchive + "</value></field>"
	for name, value := range fields {
		x += "<field var='" + name + "'><value>" + strings.ReplaceAll(value, " ", "</value><value>") + "</value></field>"
	}
	return "<query xmlns='" + nsArchive + "' queryid='q1'><x xmlns='jabber:x:data' type='submit'>" + x + "</x>" + set + "</query>"
}

func rsm(s string) string { return "<set xmlns='http://jabber.org/protocol/rsm'>" + s + "</set>" }

var (
	resultBody = regexp.MustCompile(`<body>([^<]*)</body>`)
	resultID   = regexp.MustCompile(`<result xmlns='urn:xmpp:mam:2' queryid='q1' id='([^']*)'>`)
	stanzaID   = regexp.MustCompile(`<stanza-id xmlns='urn:xmpp:sid:0' by='([^']*)' id='([^']*)'/>`)
	rsmEnds    = regexp.MustCompile(`<first[^>]*>([^<]*)</first><last>([^<]*)</last>`)
)

func all(re *regexp.Regexp, s string) (out []string) {
	for _, m := range re.FindAllStringSubmatch(s, -1) {
		out = append(out, m[len(m)-1])
	}
	return out
}

func TestArchive(t *testing.T) {
	s := archived(t, "always")
	alice, bob := online(t, s, "alice", "a"), online(t, s, "bob", "b")
	const bobs = "bob@" + domain
	forged := "<stanza-id xmlns='urn:xmpp:sid:0' by='" + bobs + "' id='forged'/><stanza-id xmlns='urn:xmpp:sid:0' by='other' id='kept'/>"
	alice.Send("<message type='chat' to='" + bob.JID + "'><body>1</body>" + forged + "</message>")
	got := bob.Want("</message>")
	ids := all(stanzaID, got)
	if len(ids) != 2 || ids[0] != "kept" || strings.Contains(got, "forged") || !strings.Contains(got, "by='"+bobs+"'") {
		t.Fatalf("bob got %s", got)
	}
	id := ids[1]
	bob.Send("<message type='chat' to='alice@" + domain + "'><body>2</body></message>")
	if got := alice.Want("</message>"); !strings.Contains(got, "by='alice@"+domain+"'") {
		t.Errorf("alice got %s", got)
	}
	// What is not archived; some of it bears a forged id, and loses it.
	for _, m := range []string{
		"<message type='chat' to='" + bob.JID + "'><composing xmlns='http://jabber.org/protocol/chatstates'/>" + forged + "</message>",
		"<message type='chat' to='" + bob.JID + "'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>",
		"<message type='chat' to='" + bob.JID + "'><body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>",
		"<message type='headline' to='" + bob.JID + "'><body>x</body></message>",
		"<message type='groupchat' to='" + bob.JID + "'><body>x</body></message>",
		"<message type='error' to='" + bob.JID + "'><body>x</body></message>",
		"<message to='" + bobs + "/gone'><body>x</body></message>",
		"<message to='nobody@" + domain + "'><body>sent</body></message>",
	} {
		alice.Send(m)
		alice.Sync()
		if got := bob.Sync(); strings.Contains(got, "by='"+bobs) {
			t.Errorf("%s: bob got %s", m, got)
		}
	}
	answer := bob.mam("set", mamQuery(nil, ""))
	if got := all(resultBody, answer); strings.Join(got, " ") != "1 2" {
		t.Errorf("bob's archive: %s", answer)
	}
	if got := all(resultID, answer); len(got) != 2 || got[0] != id {
		t.Errorf("ids %q, want %s first", got, id)
	}
	if !strings.Contains(answer, "<message from='"+bobs+"' to='"+bob.JID+"'>") || !strings.Contains(answer, "<message xmlns='jabber:client' from='"+alice.JID+"'") || !strings.Contains(answer, "<delay xmlns='urn:xmpp:delay' stamp='") {
		t.Errorf("form of the results: %s", answer)
	}
	if !strings.Contains(answer, "<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'><first index='0'>"+id+"</first>") || !strings.Contains(answer, "<count>2</count>") {
		t.Errorf("end of the results: %s", answer)
	}
	if got := all(resultBody, alice.mam("set", mamQuery(nil, ""))); strings.Join(got, " ") != "1 2 x sent" {
		t.Errorf("alice's archive: %q", got)
	}
	// To oneself, and to two sessions: once.
	bob2 := online(t, s, "bob", "b2")
	bob.Send("<message type='chat' to='" + bobs + "'><body>3</body></message>")
	bob.Sync()
	bob2.Sync()
	if got := all(resultBody, bob.mam("set", mamQuery(map[string]string{"with": bobs}, ""))); strings.Join(got, " ") != "3" {
		t.Errorf("bob's archive of what he told himself: %q", got)
	}
}

// TestArchivePages turns the pages of an archive in all the ways of XEP-0313 and XEP-0059.
func TestArchivePages(t *testing.T) {
	s := archived(t, "always")
	alice, carol, bob := online(t, s, "alice", "a"), online(t, s, "carol", "c"), online(t, s, "bob", "b")
	var ids, bodies []string
	for i := range 12 {
		from := alice
		if i%3 == 0 {
			from = carol
		}
		from.Send("<message type='chat' to='" + bob.JID + "'><body>" + fmt.Sprint(i) + "</body></message>")
		ids = append(ids, all(stanzaID, bob.Want("</message>"))...)
		bodies = append(bodies, fmt.Sprint(i))
	}
	meta := bob.mam("get", "<metadata xmlns='"+nsArchive+"'/>")
	times := regexp.MustCompile(`timestamp='([^']*)'`).FindAllStringSubmatch(meta, -1)
	if len(times) != 2 || !strings.Contains(meta, "<start id='"+ids[0]+"'") || !strings.Contains(meta, "<end id='"+ids[11]+"'") {
		t.Fatalf("metadata: %s", meta)
	}
	for _, tt := range []struct {
		name     string
		fields   map[string]string
		set      string
		want     string
		complete bool
		more     string
	}{
		{"everything", nil, "", strings.Join(bodies, " "), true, "<first index='0'>"},
		{"first page", nil, rsm("<max>5</max>"), "0 1 2 3 4", false, "<count>12</count>"},
		{"second page", nil, rsm("<max>5</max><after>" + ids[4] + "</after>"), "5 6 7 8 9", false, "<first index='5'>"},
		{"last page forwards", nil, rsm("<max>5</max><after>" + ids[9] + "</after>"), "10 11", true, ""},
		{"behind the end", nil, rsm("<max>5</max><after>" + ids[11] + "</after>"), "", true, "<count>12</count>"},
		{"last page", nil, rsm("<max>5</max><before/>"), "7 8 9 10 11", false, "<first index='7'>"},
		{"page before it", nil, rsm("<max>5</max><before>" + ids[7] + "</before>"), "2 3 4 5 6", false, ""},
		{"first page backwards", nil, rsm("<max>5</max><before>" + ids[2] + "</before>"), "0 1", true, ""},
		{"flipped", nil, rsm("<max>3</max><before/>") + "<flip-page/>", "11 10 9", false, ""},
		{"by index", nil, rsm("<max>3</max><index>4</index>"), "4 5 6", false, "<first index='4'>"},
		{"count alone", nil, rsm("<max>0</max>"), "", false, "<count>12</count>"},
		{"by contact", map[string]string{"with": "carol@" + domain}, "", "0 3 6 9", true, "<count>4</count>"},
		{"by session", map[string]string{"with": carol.JID}, rsm("<max>2</max>"), "0 3", false, ""},
		{"by another session", map[string]string{"with": "carol@" + domain + "/x"}, "", "", true, ""},
		{"by domain", map[string]string{"with": domain}, "", "", true, ""},
		{"by contact, second page", map[string]string{"with": "carol@" + domain}, rsm("<max>2</max><after>" + ids[3] + "</after>"), "6 9", true, "<first index='2'>"},
		{"between ids", map[string]string{"after-id": ids[2], "before-id": ids[5]}, "", "3 4", true, "<count>2</count>"},
		{"by ids", map[string]string{"ids": ids[7] + " " + ids[1]}, "", "1 7", true, ""},
		{"from the last on", map[string]string{"start": times[1][1]}, "", "11", true, ""},
		{"up to the first", map[string]string{"end": times[0][1]}, "", "0", true, ""},
		{"of the future", map[string]string{"start": "2999-01-01T00:00:00Z"}, "", "", true, "<count>0</count>"},
		{"of the past, elsewhere", map[string]string{"end": "2001-01-01T12:00:00+02:00"}, "", "", true, ""},
	} {
		got := bob.mam("set", mamQuery(tt.fields, tt.set))
		if b := strings.Join(all(resultBody, got), " "); b != tt.want || strings.Contains(got, "complete='true'") != tt.complete || !strings.Contains(got, tt.more) {
			t.Errorf("%s: got %q, want %q; complete %v; %s", tt.name, b, tt.want, tt.complete, got[strings.LastIndex(got, "<fin"):])
			continue
		}
		ends, sent := rsmEnds.FindStringSubmatch(got), all(resultID, got)
		if strings.Contains(tt.set, "flip") && len(sent) > 0 {
			sent[0], sent[len(sent)-1] = sent[len(sent)-1], sent[0]
		}
		if len(sent) > 0 && (ends == nil || ends[1] != sent[0] || ends[2] != sent[len(sent)-1]) {
			t.Errorf("%s: first and last are %q of %q", tt.name, ends, sent)
		}
	}
	for name, tt := range map[string]struct{ payload, want string }{
		"unknown id":         {mamQuery(nil, rsm("<after>nothing</after>")), "<item-not-found "},
		"id that is not":     {mamQuery(nil, rsm("<before>0000000000000</before>")), "<item-not-found "},
		"after-id that not":  {mamQuery(map[string]string{"after-id": "0000000000000"}, ""), "<item-not-found "},
		"ids that are not":   {mamQuery(map[string]string{"ids": ids[0] + " 0000000000000"}, ""), "<item-not-found "},
		"field unknown":      {mamQuery(map[string]string{"include-groupchat": "true"}, ""), "<feature-not-implemented "},
		"time that is none":  {mamQuery(map[string]string{"start": "yesterday"}, ""), "<bad-request "},
		"with that is none":  {mamQuery(map[string]string{"with": "@"}, ""), "<jid-malformed "},
		"max that is none":   {mamQuery(nil, rsm("<max>-1</max>")), "<bad-request "},
		"node":               {"<query xmlns='" + nsArchive + "' node='n'/>", "<item-not-found "},
		"form of other type": {"<query xmlns='" + nsArchive + "'><x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>x</value></field></x></query>", "<bad-request "},
	} {
		if got := bob.mam("set", tt.payload); !strings.Contains(got, tt.want) || strings.Contains(got, "<result ") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := bob.mam("get", "<query xmlns='"+nsArchive+"'/>"); !strings.Contains(got, "var='before-id'") || !strings.Contains(got, "var='ids'") {
		t.Errorf("form: %s", got)
	}
	alice.Send("<iq type='set' id='mam' to='bob@" + domain + "'><query xmlns='" + nsArchive + "'/></iq>")
	if got := alice.Sync(); !strings.Contains(got, "<forbidden ") {
		t.Errorf("somebody else's archive: %s", got)
	}
	bob.Send("<iq type='get' id='1' to='bob@" + domain + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	if got := bob.Sync(); !strings.Contains(got, "'urn:xmpp:mam:2#extended'") || !strings.Contains(got, "'urn:xmpp:sid:0'") {
		t.Errorf("features: %s", got)
	}
}

func TestArchivePreferences(t *testing.T) {
	s := archived(t, "")
	alice, bob, carol := online(t, s, "alice", "a"), online(t, s, "bob", "b"), online(t, s, "carol", "c")
	prefs := func(def, always, never string) string {
		list := func(name, jids string) string {
			out := "<" + name + ">"
			for _, j := range strings.Fields(jids) {
				out += "<jid>" + j + "</jid>"
			}
			return out + "</" + name + ">"
		}
		return "<prefs xmlns='" + nsArchive + "' default='" + def + "'>" + list("always", always) + list("never", never) + "</prefs>"
	}
	if got := bob.mam("get", "<prefs xmlns='"+nsArchive+"'/>"); !strings.Contains(got, prefs("never", "", "")) {
		t.Errorf("at first: %s", got)
	}
	befriend(t, bob, carol)
	for i, tt := range []struct {
		def, always, never string
		alice, carol       bool
	}{
		{"never", "", "", false, false},
		{"always", "", "", true, true},
		{"roster", "", "", false, true},
		{"never", alice.JID, "", true, false},
		{"never", "alice@" + domain, "", true, false},
		{"never", "alice@" + domain + "/other", "", false, false},
		{"always", "", "alice@" + domain, false, true},
		{"roster", "alice@" + domain, "carol@" + domain, true, false},
	} {
		p := prefs(tt.def, tt.always, tt.never)
		if got := bob.mam("set", p); !strings.Contains(got, p) {
			t.Errorf("set: %s, want %s", got, p)
		}
		if got := bob.mam("get", "<prefs xmlns='"+nsArchive+"'/>"); !strings.Contains(got, p) {
			t.Errorf("get: %s, want %s", got, p)
		}
		for from, want := range map[*client]bool{alice: tt.alice, carol: tt.carol} {
			body := fmt.Sprintf("%d from %s", i, from.JID)
			from.Send(xmppraw.Message(bob.JID, body))
			if got := bob.Want("</message>"); strings.Contains(got, "<stanza-id ") != want {
				t.Errorf("%s: bob got %s", p, got)
			}
			bob.Send(xmppraw.Message(from.JID, "re: "+body))
			from.Want("</message>")
			if got := bob.mam("set", mamQuery(nil, rsm("<before/>"))); strings.Count(got, body) != map[bool]int{true: 2}[want] {
				t.Errorf("%s: %q is in the archive: %s", p, body, got)
			}
		}
	}
	for _, bad := range []string{prefs("sometimes", "", ""), prefs("never", "@", ""), prefs("never", strings.Repeat("a@b ", 501), "")} {
		if got := bob.mam("set", bad); !strings.Contains(got, "type='error'") {
			t.Errorf("%.100s: %s", bad, got)
		}
	}
}

// TestArchiveOffline: what is kept for somebody who is away bears the id that it is archived by, and
// is archived once; after a restart both are there.
func TestArchiveOffline(t *testing.T) {
	dir := t.TempDir()
	o := options{cfg: func(c *xmppd.Config) { c.Data, c.Modules.Archive.Default = dir, "always" }}
	s := startServer(t, o)
	alice := online(t, s, "alice", "a")
	alice.Send(xmppraw.Message("bob@"+domain, "1"))
	alice.Sync()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = serve(t, o)
	bob := login(t, s, "bob", "b")
	bob.Send("<presence/>")
	got := bob.Want("</message>")
	ids := all(stanzaID, got)
	answer := bob.mam("set", mamQuery(nil, ""))
	if archived := all(resultID, answer); len(ids) != 1 || len(archived) != 1 || ids[0] != archived[0] || !strings.Contains(got, "<delay ") {
		t.Errorf("delivered %s, archived %s", got, answer)
	}
	// Kept for one who has no offline storage: in the archive it is in good hands.
	s = startServer(t, withoutOffline(options{cfg: func(c *xmppd.Config) { c.Modules.Archive.Default = "always" }}))
	alice = online(t, s, "alice", "a")
	alice.Send(xmppraw.Message("bob@"+domain, "2"))
	if got := alice.Sync(); strings.Contains(got, "error") {
		t.Errorf("archived: %s", got)
	}
	if got := online(t, s, "bob", "b").mam("set", mamQuery(nil, "")); !strings.Contains(got, "<body>2</body>") {
		t.Errorf("archive: %s", got)
	}
}

// TestArchiveAndCarbons: copies for other sessions of a user are in no archive, and the copy of a
// received message bears its id.
func TestArchiveAndCarbons(t *testing.T) {
	s := archived(t, "always")
	alice, desk, phone := online(t, s, "alice", "a"), online(t, s, "bob", "desk"), online(t, s, "bob", "phone")
	desk.carbons("enable")
	phone.carbons("enable")
	alice.Send(xmppraw.Message(desk.JID, "in"))
	alice.Sync()
	if got := phone.Sync(); !strings.Contains(got, "<received xmlns='urn:xmpp:carbons:2'>") || len(all(stanzaID, got)) != 1 {
		t.Errorf("the copy: %s", got)
	}
	desk.Send(xmppraw.Message(alice.JID, "out"))
	desk.Sync()
	if got := phone.Sync(); !strings.Contains(got, "<sent xmlns='urn:xmpp:carbons:2'>") {
		t.Errorf("the copy: %s", got)
	}
	for who, c := range map[string]*client{"bob": phone, "alice": alice} {
		c.Sync()
		if got := all(resultBody, c.mam("set", mamQuery(nil, ""))); strings.Join(got, " ") != "in out" {
			t.Errorf("the archive of %s: %q", who, got)
		}
	}
}
