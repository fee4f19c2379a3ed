package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// outrunning is what a learner is up against: 60 KiB are written a tick, as far as they are
// taken, while its snapshot of 200 KiB travels for a hundred ticks and the log may have
// 512 KiB of the group.
type outrunning struct {
	w           *world
	snapshots   int   // that the learner took
	most        int64 // bytes of log, all groups
	taken, left int   // writes
	idle        int   // ticks in a row without a write, at most
	said        string
}

// run writes until the learner is a voter, for so many ticks at most, and tells whether it is.
func (o *outrunning) run(ticks int) bool {
	leader, learner := o.w.nodes[0], o.w.nodes[3]
	leader.patient = true
	since, value := 0, strings.Repeat("v", 3<<10)
	for range ticks {
		if g, _ := leader.group(); slices.Equal(g.Voters, []uint64{1, 2, 4}) && !g.Joint {
			o.snapshots = strings.Count(o.w.out.String(), "node 4: group 0 restored")
			return slices.Equal(leader.state[0].values, learner.state[0].values) || o.w.until(100, func() bool {
				return slices.Equal(leader.state[0].values, learner.state[0].values)
			})
		}
		before := o.taken
		for range 20 {
			leader.core.Propose([]Proposal{{Cmd: []byte(value), Done: func(r op.WriteResult) {
				switch {
				case r.Code == op.OK:
					o.taken++
				case r.Code == op.Overloaded && r.RetryAfter > 0:
					o.left++
				default:
					o.w.t.Errorf("a write is answered %+v", r)
				}
			}}})
		}
		for _, job := range leader.waiting[:min(2, len(leader.waiting))] {
			leader.waiting = leader.waiting[1:]
			leader.frame(job)
		}
		o.w.ticks(1)
		o.most = max(o.most, leader.core.logBytes)
		if since++; o.taken > before {
			since = 0
		}
		o.idle = max(o.idle, since)
		if g, _ := leader.group(); strings.Contains(g.Waits, "outrun") {
			o.said = g.Waits
		}
	}
	o.snapshots = strings.Count(o.w.out.String(), "node 4: group 0 restored")
	return false
}

func newOutrunning(t *testing.T, f Faults) *outrunning {
	w := &world{t: t, newest: 200}
	w.cluster(3, 1, 1, Config{SleepTicks: -1, KeepEntries: 64, KeepBytes: 64 << 10, MaxLog: 2 << 20, Faults: f})
	w.ticks(10)
	for i := range 200 {
		w.nodes[0].core.Propose([]Proposal{{Cmd: fmt.Append(nil, i), Done: func(op.WriteResult) {}}})
	}
	w.ticks(10)
	w.publish(w.document(2, []uint64{1, 2, 3}, []uint64{1, 2, 4}))
	return &outrunning{w: w}
}

// TestALearnerIsNotOutrun: more is written while it takes a snapshot than the log may have.
// It gets level all the same, the log stays bounded, writes go on, and it is told what
// holds it up. The planted mistake lets it take snapshots for ever.
func TestALearnerIsNotOutrun(t *testing.T) {
	bad := ""
	for _, f := range []Faults{{}, {Outrun: true}} {
		bad = runScenario(t, func(*world) string {
			o := newOutrunning(t, f)
			level := o.run(1000)
			t.Logf("%+v: level %v after %d snapshots; log of up to %d bytes; %d writes taken, %d not; %d ticks without one; said %q", f.Outrun, level, o.snapshots, o.most, o.taken, o.left, o.idle, o.said)
			switch {
			case !level:
				return fmt.Sprintf("the learner is not level after %d snapshots", o.snapshots)
			case o.most > 2<<20+128<<10:
				return fmt.Sprintf("the log has %d bytes", o.most)
			case o.snapshots != outrunAfter+1:
				return fmt.Sprintf("it took %d snapshots", o.snapshots)
			case o.idle > 40:
				return fmt.Sprintf("for %d ticks nothing is written", o.idle)
			case !strings.Contains(o.said, "member 4 takes snapshot 3: writes outrun the transfer"):
				return fmt.Sprintf("it is said that it %q", o.said)
			}
			return ""
		}, Faults{})
		if (bad == "") == f.Outrun {
			t.Errorf("planted %v: %q", f.Outrun, bad)
		}
	}
}

// TestCopiedBytesAreTold: the leader of a group that moves tells how much of the snapshot
// is sent, before it is complete.
func TestCopiedBytesAreTold(t *testing.T) {
	if bad := copiedBytes(t, Faults{}); bad != "" {
		t.Error(bad)
	}
	if bad := copiedBytes(t, Faults{CopiedUntold: true}); bad == "" {
		t.Error("the seeded fault was not noticed")
	}
}

func copiedBytes(t *testing.T, f Faults) string {
	return runScenario(t, func(*world) string {
		o := newOutrunning(t, f)
		w, leader := o.w, o.w.nodes[0]
		leader.patient = true
		last := int64(0)
		for made := 0; made <= 200; {
			for _, job := range leader.waiting[:min(1, len(leader.waiting))] {
				leader.waiting = leader.waiting[1:]
				leader.frame(job)
				made++
			}
			w.ticks(2)
			g, _ := leader.group()
			if made > 0 && made < 200 && g.Copied <= last {
				return fmt.Sprintf("with %d frames %d bytes are told, and %d before", made, g.Copied, last)
			}
			last = g.Copied
		}
		if g, _ := leader.group(); slices.Contains(g.Learners, 4) && g.Copied < last {
			return "the copy is complete, and told no more"
		}
		return ""
	}, Faults{})
}
