package datanode

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterdb/rosterdb/internal/admin/adminxml"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
	"github.com/rosterdb/rosterdb/ring"
)

// refusing is a node whose log is kept.
type refusing struct {
	t    *testing.T
	n    *Node
	e    *fakeEngine
	h    *handler
	logs bytes.Buffer
}

func newRefusing(t *testing.T, f faults) *refusing {
	r := &refusing{t: t}
	r.n, r.e, r.h = testNode(t)
	r.n.faults = f
	r.n.log = slog.New(slog.NewTextHandler(&r.logs, nil))
	r.n.refusals.init(r.n.log, &r.n.faults)
	return r
}

// ask sends operations of an account.
func (r *refusing) ask(account string, q wire.Request) {
	q.Epoch = 1
	feed(r.t, r.h, from(account+"/x", wire.AppendMessage(nil, "dn1@localhost/store", "m1", true, wire.AppendRequest(nil, &q))))
}

func (r *refusing) iq(account, payload string) {
	feed(r.t, r.h, from(account+"/x", wire.AppendIQ(nil, "dn1@localhost/store", "i1", "get", []byte(payload))))
}

// grants publishes the next ring document, with these.
func (r *refusing) grants(access ...ring.Grant) {
	doc := testRing(r.t)
	doc.Epoch, doc.Access = r.n.epoch()+1, access
	if err := r.n.publish(doc); err != nil {
		r.t.Fatal(err)
	}
}

// client makes the client of an account known.
func (r *refusing) client(account string) *client {
	r.ask(account, gets1())
	return r.h.clients[account+"/x"]
}

func place(root string) uint32 { return (&ring.Document{Partitions: 8}).Partition(root) }

func gets1() wire.Request {
	return wire.Request{Reads: []wire.Read{{Tag: 1, Partition: place("root"), Read: op.Read{Kind: op.Get, Root: "root"}}}}
}

func puts(mutations int) wire.Request {
	return wire.Request{Writes: []wire.Write{{Tag: 1, Partition: place("root"), Write: op.Write{
		Root: "root", Session: 5, Seq: 1, Floor: 1, Mutations: make([]op.Mutation, mutations),
	}}}}
}

func watches1() wire.Request {
	return wire.Request{Reads: []wire.Read{{Tag: 1, Partition: place("root"), Read: op.Read{Kind: op.Changes, Root: "root", Wait: 1000}}}}
}

// refusalCase has an account refused once by each call.
type refusalCase struct {
	why    reason
	name   string
	refuse func(r *refusing, account string)
}

// strangers are those whom nobody has named: whole stanzas of theirs are refused, too.
func strangers() []refusalCase {
	return []refusalCase{
		{refusedAccess, "a stranger's read", func(r *refusing, a string) { r.ask(a, gets1()) }},
		{refusedAccess, "a stranger's open", func(r *refusing, a string) { r.ask(a, wire.Request{Opens: []wire.Open{{Tag: 1}}}) }},
		{refusedAccess, "a stranger's ring", func(r *refusing, a string) { r.iq(a, string(wire.AppendRing(nil, 1, nil))) }},
		{refusedAccess, "a stranger's terms", func(r *refusing, a string) { r.iq(a, string(wire.AppendTerms(nil, 1, []uint64{0}))) }},
		{refusedAccess, "a stranger's administration", func(r *refusing, a string) {
			r.iq(a, fmt.Sprintf("<%s xmlns='%s'/>", adminxml.CmdStatus, adminxml.NS))
		}},
		{refusedAccess, "a stranger's part", func(r *refusing, a string) {
			feed(r.t, r.h, from(a+"/x", []byte("<message to='dn1@localhost/store'><part xmlns='"+wire.NS+"' id='1' n='0'>AAAA</part></message>")))
		}},
	}
}

func refusalCases() []refusalCase {
	return append(strangers(), []refusalCase{
		{refusedAccess, "a watch whose grant is taken back", func(r *refusing, a string) {
			r.grants()
			r.ask(a, watches1())
			r.grants(grant("other@localhost", "", false))
			r.e.held[len(r.e.held)-1].Done(op.ReadResult{Code: op.OK, Events: []op.Event{{Kind: op.Written, Root: "root"}}})
		}},
		{refusedInvalid, "no such partition", func(r *refusing, a string) {
			r.ask(a, wire.Request{Reads: []wire.Read{{Tag: 1, Partition: 99, Read: op.Read{Kind: op.Get, Root: "root"}}}})
		}},
		{refusedSize, "too many mutations", func(r *refusing, a string) { r.ask(a, puts(op.MaxMutations+1)) }},
		{refusedSession, "another's session", func(r *refusing, a string) {
			r.e.owner = "other@localhost"
			r.ask(a, puts(1))
		}},
		{refusedState, "no ring", func(r *refusing, a string) {
			r.n.view.Store(nil)
			r.ask(a, gets1())
		}},
		{refusedFull, "the disk is full", func(r *refusing, a string) {
			r.n.disk.low.Store(true)
			r.ask(a, puts(1))
		}},
		{refusedFlood, "the queue is full", func(r *refusing, a string) {
			r.n.fair.entered(windowBytes + 1)
			r.n.fair.bytes = totalCost
			r.ask(a, gets1())
		}},
		{refusedFlood, "too many results wait", func(r *refusing, a string) {
			r.client(a).unsent.Store(maxUnsent)
			r.ask(a, gets1())
			r.h.clients[a+"/x"].unsent.Store(0)
		}},
		{refusedOps, "too many operations", func(r *refusing, a string) {
			c := r.client(a)
			c.inFlight.Store(maxInFlight - 1)
			q := gets1()
			q.Reads = append(q.Reads, q.Reads[0])
			r.ask(a, q)
			c.inFlight.Store(0)
		}},
		{refusedSessions, "too many sessions", func(r *refusing, a string) {
			r.e.openWait = 1000
			r.ask(a, wire.Request{Opens: []wire.Open{{Tag: 1}}})
		}},
		{refusedWatches, "too many watches", func(r *refusing, a string) {
			r.client(a).watches.Store(maxWatches)
			r.ask(a, watches1())
		}},
		{refusedAnswers, "too many answers", func(r *refusing, a string) {
			r.n.answers.held.Store(nodeAnswers)
			r.ask(a, gets1())
		}},
		{refusedStanza, "malformed", func(r *refusing, a string) {
			feed(r.t, r.h, from(a+"/x", []byte("<message to='dn1@localhost/store'><ops xmlns='"+wire.NS+"' epoch='none'/></message>")))
		}},
	}...)
}

// judge refuses something to two accounts and tells what is wrong with what was counted
// and logged; "" when nothing is.
func (c refusalCase) judge(t *testing.T, f faults) (wrong string) {
	synctest.Test(t, func(t *testing.T) { // for the time between lines
		r := newRefusing(t, f)
		one, two := "one@apps.example", "two@apps.example"
		if strings.HasPrefix(c.name, "a stranger's") {
			one, two = "one@else.example", "two@else.example"
		}
		for _, account := range []string{one, one, two} {
			c.refuse(r, account)
		}
		time.Sleep(refusalEvery) // of the bubble
		c.refuse(r, one)
		for why := range r.n.refusals.counts {
			want := uint64(0)
			if reason(why) == c.why {
				want = 4
			}
			if got := r.n.refusals.counts[why].Load(); got != want {
				wrong += fmt.Sprintf("%d refusals counted as %q, want %d; ", got, reason(why), want)
			}
		}
		line := func(account string, left int) string {
			return fmt.Sprintf("reason=%s account=%s ", c.why, account) + ".*" + fmt.Sprintf("more_since_last=%d", left)
		}
		got := r.logs.String()
		for _, want := range []string{line(one, 0), line(two, 0), line(one, 1)} {
			head, tail, _ := strings.Cut(want, ".*")
			found := 0
			for l := range strings.Lines(got) {
				if strings.Contains(l, head) && strings.HasSuffix(strings.TrimSpace(l), tail) {
					found++
				}
			}
			if found != 1 {
				wrong += fmt.Sprintf("%d lines %q in\n%s; ", found, want, got)
			}
		}
	})
	return wrong
}

// TestEveryRefusalIsCountedAndLogged: whatever this node refuses is counted by its reason,
// and logged, the first at once and then a line each refusalEvery, for each account by
// itself. The planted mistakes have all accounts share their lines, and count strangers'
// stanzas as malformed.
func TestEveryRefusalIsCountedAndLogged(t *testing.T) {
	seen := make(map[reason]bool)
	for _, c := range refusalCases() {
		seen[c.why] = true
		if wrong := c.judge(t, faults{}); wrong != "" {
			t.Errorf("%s: %s", c.name, wrong)
		}
		if c.judge(t, faults{OneLine: true}) == "" {
			t.Errorf("%s: another account's refusal was hidden, and nobody noticed", c.name)
		}
	}
	for why := notRefused + 1; why < reasons; why++ {
		if !seen[why] {
			t.Errorf("nothing here is refused as %q", why)
		}
	}
	for _, c := range strangers()[2:] {
		if c.judge(t, faults{ForbiddenAsStanza: true}) == "" {
			t.Errorf("%s was counted as malformed, and nobody noticed", c.name)
		}
	}
}

// TestRefusalLinesAreBounded: any number of accounts makes a bounded number of lines.
func TestRefusalLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusing(t, faults{})
		const accounts = 3 * maxLines
		for range 2 {
			for i := range accounts {
				r.n.refusals.note(refusedFlood, fmt.Sprintf("a%d@d", i), "any", textFlood)
			}
		}
		if got := strings.Count(r.logs.String(), "\n"); got != maxLines+1 {
			t.Errorf("%d lines, want %d", got, maxLines+1)
		}
		time.Sleep(2 * refusalEvery) // of the bubble
		r.n.refusals.note(refusedFlood, "new@d", "any", textFlood)
		if got := len(r.n.refusals.lines); got != 1 {
			t.Errorf("%d lines are remembered when all were silent", got)
		}
		if got := r.n.refusals.counts[refusedFlood].Load(); got != 2*accounts+1 {
			t.Errorf("%d refusals are counted", got)
		}
	})
}
