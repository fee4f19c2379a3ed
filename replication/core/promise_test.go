package core

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/replication/wal"
)

// TestVoteSurvivesCrash: who has voted, and starts again from what is durable,
// gives no second vote in that term; with a planted bug it does.
func TestVoteSurvivesCrash(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		w := &world{t: t}
		w.cluster(3, 0, 1, Config{SleepTicks: -1, Faults: Faults{PromiseForgotten: forgotten}})
		voter := w.nodes[2]
		for _, other := range w.nodes[:2] {
			other.core = nil // they exist as far as the voter hears of them
		}
		w.settle()
		const term = 7
		if !voter.asked(t, 1, term) {
			t.Fatal("the first candidate got no vote")
		}
		voter.core, voter.inbox, voter.batch = nil, nil, nil
		voter.start()
		w.settle()
		if second := voter.asked(t, 2, term); second != forgotten {
			t.Errorf("planted bug: %v; a second vote in the term: %v", forgotten, second)
		}
	}
}

// asked says whether the node votes for a candidate. It never does so for two
// in one term.
func (n *testNode) asked(t *testing.T, candidate, term uint64) (granted bool) {
	t.Helper()
	typ, index, logTerm := pb.MsgVote, uint64(FirstIndex), uint64(FirstTerm)
	ask := &pb.Message{Type: &typ, From: &candidate, To: &n.id, Term: &term, Index: &index, LogTerm: &logTerm, Context: []byte("CampaignTransfer")}
	batch := sealBatch(appendMessageRecord(appendBatchHead(nil, 0, 1, n.id), recMessage, 0, ask))
	if err := n.core.Receive(candidate, batch); err != nil {
		t.Fatal(err)
	}
	for range 100 { // rounds, more than it can take
		r := n.core.Advance()
		for _, s := range r.Sends {
			granted = granted || s.To == candidate && grants(t, s.Batch, n.id, term)
		}
		if r.WAL != nil {
			n.batch = r.WAL
			n.append()
		}
		for i := range r.Tasks {
			n.run(&r.Tasks[i])
		}
	}
	if hs := n.durable(); hs.Term != term {
		t.Errorf("term %d is durable, want %d", hs.Term, term)
	}
	return granted
}

func (n *testNode) durable() wal.HardState {
	if n.wal[0] == nil {
		return wal.HardState{}
	}
	return n.wal[0].HardState
}

// grants says whether a batch has a vote for the candidate.
func grants(t *testing.T, batch []byte, from, term uint64) bool {
	t.Helper()
	r, err := openBatch(batch, from)
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, ok, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return false
		}
		if m := rec.msg; m != nil && m.GetType() == pb.MsgVoteResp && m.GetTerm() == term && !m.GetReject() {
			return true
		}
	}
}
