package core

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// entryOverhead is what an entry costs in memory besides its data, in bytes.
const entryOverhead = 96

// entryLog is a group's log in memory, from the truncation point on, as raft's
// Storage. Entries are put in when they are handed to the WAL, earlier than they
// are durable: raft's unstable log shadows them until the WAL reports, so raft
// never takes them for stable. Entries are immutable, and slices of them that
// were handed out stay valid: truncation copies.
type entryLog struct {
	offset     uint64 // index right before ents[0]
	offsetTerm uint64
	ents       []*pb.Entry
	// From the index since on, all entries are of term newest: raft asks for terms with
	// each message, and to look at the entries costs more than all else there. 0: unknown.
	since, newest uint64

	bytes   int64
	largest int64  // no entry is larger, in bytes
	total   *int64 // bytes of all groups' logs

	hard *pb.HardState // as recovered; read once by raft
	conf *pb.ConfState
	snap func() (*pb.Snapshot, error)
}

func entrySize(e *pb.Entry) int64 { return int64(len(e.GetData())) + entryOverhead }

// InitialState implements raft.Storage.
func (l *entryLog) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return l.hard, l.conf, nil
}

// Entries implements raft.Storage.
func (l *entryLog) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if lo <= l.offset {
		return nil, raft.ErrCompacted
	}
	if hi > l.last()+1 {
		return nil, raft.ErrUnavailable
	}
	ents := l.ents[lo-l.offset-1 : hi-l.offset-1]
	if uint64(len(ents)) <= maxSize/uint64(max(l.largest, 1)) {
		return ents[:len(ents):len(ents)], nil // however large they are; nobody looks at them
	}
	var size uint64
	for i, e := range ents {
		size += uint64(entrySize(e))
		if size > maxSize && i > 0 {
			ents = ents[:i]
			break
		}
	}
	return ents[:len(ents):len(ents)], nil
}

// Term implements raft.Storage.
func (l *entryLog) Term(i uint64) (uint64, error) {
	switch {
	case i < l.offset:
		return 0, raft.ErrCompacted
	case i == l.offset:
		return l.offsetTerm, nil
	case i > l.last():
		return 0, raft.ErrUnavailable
	case l.since != 0 && i >= l.since:
		return l.newest, nil
	}
	return l.ents[i-l.offset-1].GetTerm(), nil
}

// LastIndex implements raft.Storage.
func (l *entryLog) LastIndex() (uint64, error) { return l.last(), nil }

// FirstIndex implements raft.Storage.
func (l *entryLog) FirstIndex() (uint64, error) { return l.offset + 1, nil }

// Snapshot implements raft.Storage.
func (l *entryLog) Snapshot() (*pb.Snapshot, error) { return l.snap() }

func (l *entryLog) last() uint64 { return l.offset + uint64(len(l.ents)) }

// append puts entries in; those at or behind the first of them are replaced.
func (l *entryLog) append(ents []*pb.Entry) {
	for len(ents) > 0 && ents[0].GetIndex() <= l.offset {
		ents = ents[1:] // already in the snapshot that took their place
	}
	if len(ents) == 0 {
		return
	}
	keep := ents[0].GetIndex() - l.offset - 1
	if keep < uint64(len(l.ents)) {
		for _, e := range l.ents[keep:] {
			l.grow(-entrySize(e))
		}
		l.ents = l.ents[:keep:keep]
		l.since, l.newest = 0, 0
	}
	l.ents = append(l.ents, ents...)
	for _, e := range ents {
		if t := e.GetTerm(); l.since == 0 || t != l.newest {
			l.since, l.newest = e.GetIndex(), t
		}
		size := entrySize(e)
		l.largest = max(l.largest, size)
		l.grow(size)
	}
}

// reset empties the log behind a snapshot.
func (l *entryLog) reset(index, term uint64) {
	l.grow(-l.bytes)
	l.ents, l.largest = nil, 0
	l.since, l.newest = 0, 0
	l.offset, l.offsetTerm = index, term
}

// compact forgets entries up to index.
func (l *entryLog) compact(index uint64) {
	if index <= l.offset || index > l.last() {
		return
	}
	n := index - l.offset
	l.offsetTerm = l.ents[n-1].GetTerm()
	for _, e := range l.ents[:n] {
		l.grow(-entrySize(e))
	}
	l.ents = append([]*pb.Entry(nil), l.ents[n:]...)
	l.offset = index
}

// within tells that the log is not so much longer than the numbers given that to
// compact it is worth while.
func (l *entryLog) within(entries int, bytes int64) bool {
	return len(l.ents) <= entries+entries/4 && l.bytes <= 2*bytes
}

// cut is the index up to which the log may be forgotten so that behind applied
// at most the given numbers of entries and bytes stay.
func (l *entryLog) cut(applied uint64, entries int, bytes int64) uint64 {
	applied = min(applied, l.last())
	i := applied
	for i > l.offset && applied-i < uint64(entries) {
		bytes -= entrySize(l.ents[i-l.offset-1])
		if bytes < 0 {
			break
		}
		i--
	}
	return i
}

func (l *entryLog) grow(n int64) {
	l.bytes += n
	*l.total += n
}
