package mission

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/test/harness"
	"github.com/rosterdb/rosterdb/xmppd"
)

const archived = "[modules.archive]\ndefault = \"always\"\n"

// checkState: a server alone has all that it has acknowledged after it was killed. Of three servers one loses its disk while
// clients write, another one leaves, and all that was acknowledged is there, once, at the one that came with nothing.
func checkState(t *testing.T) {
	t.Run("alone", stateAlone)
	t.Run("replicated", stateReplicated)
}

func stateAlone(t *testing.T) {
	s := harness.StartXMPPD(t, binary, archived, accountsOf("w0", "w1")...)
	ws := []*writer{startWriter(t, "w0", true, s.Addr(t, "clients")), startWriter(t, "w1", true, s.Addr(t, "clients"))}
	load := startWriters(t, s.Data, ws...)
	load.more(20)
	s.Kill(t)
	load.end()
	load.judge(harness.StartXMPPDIn(t, binary, s.Data, archived))
}

func stateReplicated(t *testing.T) {
	sv := harness.StartServers(t, binary, harness.ServersOptions{N: 3, Users: accountsOf("w0", "w1", "w2", "w3"), Config: archived})
	x1, x2, x3 := sv.All[0], sv.All[1], sv.All[2]
	at := x1.Addr(t, "clients")
	// What a server that is killed had taken and not yet passed on is lost, but for what it has answered: its client sends no messages.
	load := startWriters(
		t, x1.Data, startWriter(t, "w0", true, at), startWriter(t, "w1", false, x2.Addr(t, "clients"), at),
		startWriter(t, "w2", true, x3.Addr(t, "clients"), at), startWriter(t, "w3", true, at),
	)
	load.more(10)

	x2.Kill(t)
	if err := os.RemoveAll(x2.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(x2.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	load.more(10)
	x2.Restart(t)
	sv.Whole()
	sv.Replicated()
	load.more(10)

	clusterSays(t, x1, 0, `"state":"drained"`, "drain", "-o", "json", "x3")
	clusterSays(t, x1, 0, `{"moved":true,"name":"x3"}`, "remove", "-o", "json", "x3")
	load.more(10)
	x3.Stop(t)
	sv.Whole()
	sv.Replicated()
	load.more(10)
	load.end()
	sv.Quiet()
	load.judge(x2.XMPPD)
}

// accountsOf are those of writers, and those that they write to.
func accountsOf(writers ...string) (all []string) {
	for _, w := range writers {
		all = append(all, w, away(w))
	}
	return all
}

// writersLoad is several writers that go on until end, and accounts that come meanwhile.
type writersLoad struct {
	t       *testing.T
	writers []*writer
	came    book // accounts
	rounds  atomic.Int64
	stop    context.CancelFunc
	runs    sync.WaitGroup
}

// startWriters has each of the writers write some times a second; data is the directory of a server that makes accounts.
func startWriters(t *testing.T, data string, writers ...*writer) *writersLoad {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &writersLoad{t: t, writers: writers, came: make(book), stop: cancel}
	for _, w := range writers {
		l.runs.Go(func() {
			for ctx.Err() == nil {
				w.write()
				l.pause(ctx)
			}
		})
	}
	users, err := xmppd.OpenUsers(t.Context(), data, harness.Domain)
	if err != nil {
		t.Fatal(err)
	}
	l.runs.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprintf("new%d", n)
			l.came.try(name, 1)
			if users.Add(t.Context(), name, harness.Password, "") == nil {
				l.came.ack(name, 1)
			}
			l.rounds.Add(1)
			l.pause(ctx)
		}
	})
	t.Cleanup(func() {
		l.end()
		_ = users.Close() // its server may be gone
	})
	return l
}

// pause is between two rounds of a writer.
func (l *writersLoad) pause(ctx context.Context) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}

// more waits until so many more accounts have come, or were tried.
func (l *writersLoad) more(n int64) {
	l.t.Helper()
	from := l.rounds.Load()
	harness.Eventually(l.t, 2*harness.Patience, "the writers go on", func() bool { return l.rounds.Load() >= from+n })
}

// end writes no more. What is under way is waited for.
func (l *writersLoad) end() {
	l.stop()
	l.runs.Wait()
}

// judge reads all of it at a server, and compares.
func (l *writersLoad) judge(at *harness.XMPPD) {
	l.t.Helper()
	for _, w := range l.writers {
		back := w.settle()
		r := &reader{t: l.t, at: at, kept: make(map[string][]int)}
		r.records(w.user)
		r.archive(w.user, w.user)
		r.archive(away(w.user), w.user)
		r.messages(w.user, w.acknowledged(", kept"))
		for _, wrong := range w.book.judge(r.kept) {
			l.t.Errorf("%s: %s", w.user, wrong)
		}
		l.t.Logf("%s: %d rounds, %d messages acknowledged, %d back", w.user, w.round, w.acknowledged(", kept"), back)
		if w.acknowledged("") == 0 {
			l.t.Errorf("%s has written nothing", w.user)
		}
	}
	l.accounts(at)
}

// acknowledged counts the things in a writer's book whose keys end so.
func (w *writer) acknowledged(end string) (n int) {
	for key, e := range w.book {
		if e.acked > 0 && strings.HasSuffix(key, end) {
			n++
		}
	}
	return n
}

// accounts judges those that have come: each is listed once, and can log in.
func (l *writersLoad) accounts(at *harness.XMPPD) {
	l.t.Helper()
	users, err := xmppd.OpenUsers(l.t.Context(), at.Data, harness.Domain)
	if err != nil {
		l.t.Fatal(err)
	}
	list, err := users.List(l.t.Context())
	if err := users.Close(); err != nil {
		l.t.Error(err)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	kept := make(map[string][]int)
	for _, u := range list {
		if strings.HasPrefix(u.Name, "new") {
			kept[u.Name] = append(kept[u.Name], 1)
		}
	}
	for _, wrong := range l.came.judge(kept) {
		l.t.Errorf("account %s", wrong)
	}
	for name, e := range l.came {
		if e.acked > 0 {
			at.Login(l.t, name, "first").Send("</stream:stream>")
		}
	}
	l.t.Logf("%d accounts", len(kept))
}
