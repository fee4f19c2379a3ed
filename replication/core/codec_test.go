package core

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/ring"
)

func drawMessage(t *rapid.T) *pb.Message {
	types := []pb.MessageType{
		pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgSnap, pb.MsgHeartbeat,
		pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgPreVote, pb.MsgPreVoteResp,
	}
	m := &pb.Message{
		Type: rapid.SampledFrom(types).Draw(t, "type").Enum(), From: new(uint64(1)), To: new(uint64(2)),
	}
	number := rapid.OneOf(rapid.Uint64Range(1, 200), rapid.Uint64Min(1))
	for _, f := range []**uint64{&m.Term, &m.LogTerm, &m.Index, &m.Commit, &m.RejectHint} {
		if rapid.Bool().Draw(t, "has") {
			*f = new(number.Draw(t, "number"))
		}
	}
	if rapid.Bool().Draw(t, "reject") {
		m.Reject = new(true)
	}
	data := rapid.SliceOfN(rapid.Byte(), 1, 40)
	if rapid.Bool().Draw(t, "context") {
		m.Context = data.Draw(t, "ctx")
	}
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		e := &pb.Entry{Type: pb.EntryType(rapid.IntRange(0, 2).Draw(t, "etype")).Enum(), Term: new(number.Draw(t, "eterm")), Index: new(number.Draw(t, "eindex"))}
		if rapid.Bool().Draw(t, "edata") {
			e.Data = data.Draw(t, "data")
		}
		m.Entries = append(m.Entries, e)
	}
	if m.GetType() == pb.MsgSnap {
		m.Snapshot = newSnapshot(number.Draw(t, "sindex"), number.Draw(t, "sterm"), &pb.ConfState{Voters: []uint64{1, 2, 3}, AutoLeave: new(false)}, data.Draw(t, "body"))
	}
	return m
}

func TestMessagesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawMessage(t)
		b := appendMessage(nil, want)
		got, rest, err := decodeMessage(append(b, "rest"...), 1, 2)
		if err != nil || string(rest) != "rest" {
			t.Fatalf("decode: %v, rest %q", err, rest)
		}
		if !proto.Equal(got, want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
		for n := range b {
			if _, _, err := decodeMessage(b[:n], 1, 2); err == nil {
				t.Fatalf("a message cut at byte %d of %d is taken", n, len(b))
			}
		}
	})
}

// keptOf tells whether the data of a message with an entry of so many bytes is still that of the
// batch after it was decoded.
func keptOf(t *testing.T, size int, f Faults) bool {
	t.Helper()
	data := bytes.Repeat([]byte("v"), size)
	m := &pb.Message{Type: pb.MsgApp.Enum(), Context: []byte("context"), Entries: []*pb.Entry{{Data: bytes.Clone(data)}, {Data: bytes.Clone(data)}}}
	b := sealBatch(appendMessageRecord(appendBatchHead(nil, 0, 1, 2), recMessage, 5, m))
	r, err := openBatch(b, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.aliased = f.BatchKept
	rec, ok, err := r.next()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	clear(b)
	ents := rec.msg.GetEntries()
	return !bytes.Equal(ents[0].Data, data) || !bytes.Equal(ents[1].Data, data) || string(rec.msg.GetContext()) != "context"
}

// TestNothingOfABatchIsKept: its memory is used for the next one.
func TestNothingOfABatchIsKept(t *testing.T) {
	for _, size := range []int{1, 3, ownCopy - 1, ownCopy, 5 * ownCopy} {
		if keptOf(t, size, Faults{}) {
			t.Errorf("entries of %d bytes change with the batch that brought them", size)
		}
		if !keptOf(t, size, Faults{BatchKept: true}) {
			t.Error("the test cannot see an entry that shares the memory of its batch")
		}
	}
}

// TestRecordRoom: a record is never larger than the room that is made for it.
func TestRecordRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		m.Snapshot = nil
		for range rapid.IntRange(0, 200).Draw(t, "more") {
			m.Entries = append(m.Entries, &pb.Entry{Type: pb.EntryConfChangeV2.Enum(), Term: new(^uint64(0)), Index: new(^uint64(0)), Data: make([]byte, rapid.IntRange(0, 300).Draw(t, "size"))})
		}
		if b := appendMessageRecord(nil, recPatient, ^uint32(0), m); len(b) > recordRoom(m) {
			t.Fatalf("%d bytes, room for %d: %v", len(b), recordRoom(m), m)
		}
	})
}

func TestLocalMessagesDoNotTravel(t *testing.T) {
	for typ := range pb.MessageType_name {
		m := &pb.Message{Type: pb.MessageType(typ).Enum()}
		_, _, err := decodeMessage(appendMessage(nil, m), 1, 2)
		if (err == nil) != travels(pb.MessageType(typ)) {
			t.Errorf("%v: %v", pb.MessageType(typ), err)
		}
	}
}

func TestBatch(t *testing.T) {
	b := appendBatchHead(nil, flagNoLead, 77, 2)
	b = appendMessageRecord(b, recMessage, 5, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(3))})
	b = appendSleepRecord(b, 6, 3, 9)
	b = sealBatch(b)
	r, err := openBatch(b, 1)
	if err != nil || r.flags != flagNoLead || r.incarnation != 77 {
		t.Fatalf("open: %+v, %v", r, err)
	}
	rec, ok, err := r.next()
	if err != nil || !ok || rec.group != 5 || rec.msg.GetTerm() != 3 || rec.msg.GetFrom() != 1 || rec.msg.GetTo() != 2 {
		t.Fatalf("message: %+v, %v, %v", rec, ok, err)
	}
	rec, ok, err = r.next()
	if err != nil || !ok || rec.group != 6 || rec.msg != nil || rec.term != 3 || rec.commit != 9 {
		t.Fatalf("sleep: %+v, %v, %v", rec, ok, err)
	}
	if _, ok, err = r.next(); ok || err != nil {
		t.Fatalf("end: %v, %v", ok, err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		if _, err := openBatch(bad, 1); err == nil {
			t.Errorf("a flipped bit in byte %d goes unnoticed", i)
		}
	}
	newer := bytes.Clone(b)
	newer[0] = batchVersion + 1
	if _, err := openBatch(newer, 1); !errors.Is(err, ErrBatchVersion) {
		t.Errorf("newer version: %v", err)
	}
}

func FuzzDecodeMessage(f *testing.F) {
	f.Add(appendMessage(nil, &pb.Message{Type: pb.MsgApp.Enum(), Term: new(uint64(2)), Index: new(uint64(7)), Entries: []*pb.Entry{{Term: new(uint64(2)), Index: new(uint64(8)), Data: []byte("x")}}}))
	f.Add(appendMessage(nil, &pb.Message{Type: pb.MsgHeartbeatResp.Enum(), Term: new(uint64(2)), Context: []byte("12345678")}))
	f.Add(appendMessage(nil, &pb.Message{Type: pb.MsgSnap.Enum(), Snapshot: newSnapshot(5, 2, &pb.ConfState{Voters: []uint64{1}}, []byte("data"))}))
	f.Add([]byte{byte(pb.MsgApp), hasEntries, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := decodeMessage(b, 1, 2)
		if err != nil {
			return
		}
		enc := appendMessage(nil, m)
		again, _, err := decodeMessage(enc, 1, 2)
		if err != nil || !bytes.Equal(appendMessage(nil, again), enc) {
			t.Errorf("%v\nbecomes %v (%v), rest %d", m, again, err, len(rest))
		}
	})
}

// FuzzBatch: what can be read of a batch can be written again and is the same.
func FuzzBatch(f *testing.F) {
	head := appendBatchHead(nil, 0, 7, 2)
	report := ring.Report{Voters: []uint64{1, 2, 300}, Learners: []uint64{4}, Joint: true, Term: 5, Index: 600, Epoch: 7}
	f.Add(appendReportRecord(slices.Clone(head), 9, &report))
	f.Add(appendAskRecord(slices.Clone(head), recAsk, 1, 2, 3, 1<<60))
	f.Add(appendAskRecord(appendSleepRecord(slices.Clone(head), 4, 5, 6), recGone, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := openBatch(sealBatch(slices.Clone(b)), 1)
		if err != nil {
			return
		}
		again := appendBatchHead(nil, r.flags, r.incarnation, r.to)
		var recs []record
		for {
			rec, ok, err := r.next()
			if err != nil || !ok {
				break
			}
			switch rec.kind {
			case recSleep:
				again = appendSleepRecord(again, rec.group, rec.term, rec.commit)
			case recAsk, recGone:
				again = appendAskRecord(again, rec.kind, rec.group, rec.term, rec.index, rec.nonce)
			case recReport:
				again = appendReportRecord(again, rec.group, &rec.report)
			default:
				continue // FuzzDecodeMessage looks at those
			}
			recs = append(recs, rec)
		}
		if r, err = openBatch(sealBatch(again), 1); err != nil {
			t.Fatal(err)
		}
		for i := range recs {
			rec, ok, err := r.next()
			if !ok || err != nil || !reflect.DeepEqual(rec, recs[i]) {
				t.Fatalf("%+v becomes %+v, %v", recs[i], rec, err)
			}
		}
	})
}
