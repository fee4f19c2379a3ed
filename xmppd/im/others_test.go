package im_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// deaf is a cluster whose other servers are told nothing.
type deaf struct{}

func (deaf) Tell(string, *im.Op) {}
func (deaf) Servers() []string   { return []string{"x2", "x3"} }

// TestEndOfTakenResource: a resource was bound again at another server, and the news of that overtake those of the old
// session's end: whoever sees it sees that it is there. An end that nothing has come before is told.
func TestEndOfTakenResource(t *testing.T) {
	const here, gone = "<presence from='a@d/1'><status>new</status></presence>", "<presence from='a@d/1' type='unavailable'/>"
	type news struct{ server, presence string }
	for _, c := range []struct {
		name  string
		news  []news
		own   bool // before the last of the news the resource is bound at this server
		there bool
		ends  [2]int // that are told, without the fault and with it
	}{
		{"the end comes late", []news{{"x2", here}, {"x3", here}, {"x2", gone}}, false, true, [2]int{0, 1}},
		{"the end comes first", []news{{"x2", here}, {"x2", gone}, {"x3", here}}, false, true, [2]int{1, 1}},
		{"it was bound here", []news{{"x2", here}, {"x2", gone}}, true, true, [2]int{0, 1}},
		{"it has gone", []news{{"x2", here}, {"x3", here}, {"x3", gone}}, false, false, [2]int{1, 1}},
	} {
		for i, faults := range []im.Faults{{}, {LateEnd: true}} {
			w := newWorld(t, faults)
			w.im.SetOthers(deaf{}, func() {})
			alice := w.actor("a@d/2") // another session of the account: it sees the presence of all
			w.say("a@d/2", "<presence/>")
			ends := 0
			for n, x := range c.news {
				if c.own && n == len(c.news)-1 {
					w.say("a@d/1", "<presence><status>own</status></presence>")
				}
				var b session.Batch
				w.im.Told(context.Background(), x.server, &im.Op{Kind: im.OpCast, List: []string{"a@d"}, Raw: []byte(x.presence)}, &b)
				b.Flush()
				ends += bytes.Count(alice.sink.got, []byte("type='unavailable'"))
				w.read()
			}
			// With the fault who sees the late end takes it that nobody is there, unless the resource is here.
			there := c.there && (i == 0 || c.ends[0] == c.ends[1] || c.own)
			if _, sees := alice.seen["a@d/1"]; sees != there || ends != c.ends[i] {
				t.Errorf("%s, %+v: seen there: %v; %d ends told, not %d", c.name, faults, sees, ends, c.ends[i])
			}
			w.im.Close()
		}
	}
}
