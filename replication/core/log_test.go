package core

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// TestLogLikeRaftsOwn compares the log with raft's reference implementation.
func TestLogLikeRaftsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var total int64
		l := &entryLog{total: &total}
		ref := raft.NewMemoryStorage()
		term := uint64(1)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			last, _ := ref.LastIndex()
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				from := rapid.Uint64Range(l.offset+1, last+1).Draw(t, "from")
				if from <= last || rapid.IntRange(0, 3).Draw(t, "term") == 0 {
					term++ // an overwrite comes from a newer leader always
				}
				var ents []*pb.Entry
				for i := range rapid.Uint64Range(1, 6).Draw(t, "n") {
					ents = append(ents, &pb.Entry{Index: new(from + i), Term: new(term), Data: make([]byte, rapid.IntRange(0, 9).Draw(t, "size"))})
				}
				l.append(ents)
				if err := ref.Append(ents); err != nil {
					t.Fatal(err)
				}
			case 2:
				to := rapid.Uint64Range(l.offset, last).Draw(t, "compact")
				l.compact(to)
				if err := ref.Compact(to); err != nil && !errors.Is(err, raft.ErrCompacted) {
					t.Fatal(err)
				}
			case 3:
				if to := last + rapid.Uint64Range(0, 3).Draw(t, "reset"); to > 0 && rapid.IntRange(0, 5).Draw(t, "really") == 0 {
					l.reset(to, term)
					if err := ref.ApplySnapshot(newSnapshot(to, term, &pb.ConfState{}, nil)); err != nil {
						t.Skip("raft refuses a snapshot it has")
					}
				}
			}
			sameLog(t, l, ref)
		}
		l.reset(l.last(), term)
		if total != 0 || l.bytes != 0 {
			t.Fatalf("an empty log counts %d bytes, all logs %d", l.bytes, total)
		}
	})
}

func sameLog(t *rapid.T, l *entryLog, ref *raft.MemoryStorage) {
	first, _ := ref.FirstIndex()
	last, _ := ref.LastIndex()
	if f, _ := l.FirstIndex(); f != first || l.last() != last {
		t.Fatalf("log is [%d, %d], want [%d, %d]", f, l.last(), first, last)
	}
	for i := first - 1; i <= last+1; i++ {
		a, errA := l.Term(i)
		b, errB := ref.Term(i)
		if a != b || !errors.Is(errA, errB) {
			t.Fatalf("term of %d: %d, %v; want %d, %v", i, a, errA, b, errB)
		}
	}
	if first > last {
		return
	}
	lo := rapid.Uint64Range(first, last).Draw(t, "lo")
	hi := rapid.Uint64Range(lo, last).Draw(t, "hi") + 1
	ents, err := l.Entries(lo, hi, uint64(rapid.IntRange(0, 400).Draw(t, "max")))
	if err != nil || len(ents) == 0 {
		t.Fatalf("entries [%d, %d): %d, %v", lo, hi, len(ents), err)
	}
	want, err := ref.Entries(lo, hi, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range ents {
		if e != want[i] {
			t.Fatalf("entry %d is another", lo+uint64(i))
		}
	}
	if _, err := l.Entries(l.offset, l.offset+1, 1); !errors.Is(err, raft.ErrCompacted) {
		t.Fatalf("compacted entry: %v", err)
	}
}

func TestCutKeepsEnough(t *testing.T) {
	var total int64
	l := &entryLog{total: &total}
	for i := range uint64(100) {
		l.append([]*pb.Entry{{Index: new(i + 1), Term: new(uint64(1)), Data: make([]byte, 100)}})
	}
	for _, c := range []struct {
		applied uint64
		entries int
		bytes   int64
		want    uint64
	}{
		{100, 10, 1 << 20, 90},
		{50, 10, 1 << 20, 40},
		{100, 1000, 1 << 20, 0},
		{100, 50, 10 * (100 + entryOverhead), 90},
		{200, 10, 1 << 20, 90},
	} {
		if got := l.cut(c.applied, c.entries, c.bytes); got != c.want {
			t.Errorf("cut(%d, %d, %d) = %d, want %d", c.applied, c.entries, c.bytes, got, c.want)
		}
	}
}
