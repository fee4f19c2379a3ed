package mission

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/test/harness"
)

// twoStreams logs an application in at the first two servers.
func twoStreams(t *testing.T, info *devcluster.Info) (streams []*harness.Raw) {
	t.Helper()
	for _, s := range info.Servers[:2] {
		cfg, err := info.Config("app")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Addrs = []string{s.C2S}
		streams = append(streams, harness.Login(t, cfg))
	}
	return streams
}

// way is how a request gets to a data node: from which of the client's streams to which of the node's.
type way struct {
	from *harness.Raw
	to   string
}

// waysTo are all ways to a node, given by its first address.
func waysTo(app []*harness.Raw, node string) (ways []way) {
	for _, to := range []string{node, wire.SecondJID(node)} {
		for _, from := range app {
			ways = append(ways, way{from, to})
		}
	}
	return ways
}

// atOnce sends a request on every way before any answer is read, and again where it was not decided.
func atOnce(t *testing.T, ways []way, q *wire.Request) (answers []op.WriteResult) {
	t.Helper()
	id := func(i int) string { return fmt.Sprint("at-once-", i) }
	for i, w := range ways {
		w.from.Send(wire.AppendMessage(nil, w.to, id(i), true, wire.AppendRequest(nil, q)))
	}
	for i, w := range ways {
		r := answerTo(t, w.from, w.to, id(i))
		if undecided(r) {
			r = ask(t, w.from, w.to, id(i)+"-again", q)
		}
		answers = append(answers, r)
	}
	return answers
}

// toldTheSame: the copies of a write with one mutation have one effect between them.
func toldTheSame(t *testing.T, what string, answers []op.WriteResult) {
	t.Helper()
	for i, a := range answers {
		if a.Code != op.OK || a.Revision != answers[0].Revision || len(a.Items) != 1 || a.Items[0] != answers[0].Items[0] {
			t.Errorf("%s: copy %d was told %+v, the first %+v", what, i, a, answers[0])
		}
	}
}
