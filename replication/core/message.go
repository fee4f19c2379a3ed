package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"
)

// A Raft message on the wire (version 1 of the batch format): type byte, flags
// (uvarint), then the fields whose flag is set, in the order of the flags;
// numbers are uvarints, byte strings have their length in front. From and To are
// those of the batch. Protobuf is not used because its pointer fields cost three
// allocations an entry.
const (
	hasTerm = 1 << iota
	hasLogTerm
	hasIndex
	hasCommit
	hasRejectHint
	hasReject // no bytes: the flag is the value
	hasContext
	hasEntries
	hasSnapshot
)

// errTruncated tells that a batch ends inside a record.
var errTruncated = errors.New("batch ends inside a record")

// travels are the message types peers send one another; others are local to a
// node and refused from the wire.
func travels(t pb.MessageType) bool {
	switch t {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgSnap, pb.MsgHeartbeat,
		pb.MsgHeartbeatResp, pb.MsgTimeoutNow, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgReadIndex, pb.MsgReadIndexResp:
		return true
	}
	return false
}

func appendMessage(dst []byte, m *pb.Message) []byte {
	dst = append(dst, byte(m.GetType()))
	numbers := [...]uint64{m.GetTerm(), m.GetLogTerm(), m.GetIndex(), m.GetCommit(), m.GetRejectHint()}
	var flags uint64
	for i, v := range numbers {
		if v != 0 {
			flags |= 1 << i
		}
	}
	if m.GetReject() {
		flags |= hasReject
	}
	if len(m.GetContext()) > 0 {
		flags |= hasContext
	}
	if len(m.GetEntries()) > 0 {
		flags |= hasEntries
	}
	if m.GetSnapshot() != nil {
		flags |= hasSnapshot
	}
	dst = binary.AppendUvarint(dst, flags)
	for _, v := range numbers {
		if v != 0 {
			dst = binary.AppendUvarint(dst, v)
		}
	}
	if flags&hasContext != 0 {
		dst = appendBytes(dst, m.GetContext())
	}
	if flags&hasEntries != 0 {
		dst = appendEntries(dst, m.GetEntries())
	}
	if flags&hasSnapshot != 0 {
		dst = appendSnapshot(dst, m.GetSnapshot())
	}
	return dst
}

func appendEntries(dst []byte, ents []*pb.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ents)))
	for _, e := range ents {
		dst = append(dst, byte(e.GetType()))
		dst = binary.AppendUvarint(dst, e.GetTerm())
		dst = binary.AppendUvarint(dst, e.GetIndex())
		dst = appendBytes(dst, e.GetData())
	}
	return dst
}

func appendSnapshot(dst []byte, s *pb.Snapshot) []byte {
	dst = binary.AppendUvarint(dst, s.GetMetadata().GetIndex())
	dst = binary.AppendUvarint(dst, s.GetMetadata().GetTerm())
	dst = appendBytes(dst, EncodeConf(s.GetMetadata().GetConfState()))
	return appendBytes(dst, s.GetData())
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// EncodeConf encodes a group's configuration as it is kept with its state.
func EncodeConf(cs *pb.ConfState) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(pb.EnsureConfState(cs))
	if err != nil {
		// A ConfState has only numbers: nothing in it can fail to encode.
		panic(fmt.Sprintf("encode configuration: %v", err))
	}
	return b
}

// DecodeConf decodes what EncodeConf wrote.
func DecodeConf(b []byte) (*pb.ConfState, error) {
	cs := &pb.ConfState{}
	if err := proto.Unmarshal(b, cs); err != nil {
		return nil, fmt.Errorf("decode configuration of a group: %w", err)
	}
	return pb.EnsureConfState(cs), nil
}

// wireMessage keeps a message and what its pointer fields point to together.
type wireMessage struct {
	pb.Message
	typ      pb.MessageType
	from, to uint64
	numbers  [5]uint64
	reject   bool
}

// wireEntry does the same for an entry.
type wireEntry struct {
	pb.Entry
	typ         pb.EntryType
	term, index uint64
}

// decodeMessage decodes one message from the front of b. Nothing of b is kept.
func decodeMessage(b []byte, from, to uint64) (*pb.Message, []byte, error) {
	if len(b) == 0 {
		return nil, nil, errTruncated
	}
	w := &wireMessage{typ: pb.MessageType(b[0]), from: from, to: to}
	if !travels(w.typ) {
		return nil, nil, fmt.Errorf("message type %d does not travel between peers", b[0])
	}
	w.Type, w.From, w.To = &w.typ, &w.from, &w.to
	flags, b, err := uvarint(b[1:])
	if err != nil {
		return nil, nil, err
	}
	fields := [...]**uint64{&w.Term, &w.LogTerm, &w.Index, &w.Commit, &w.RejectHint}
	for i, f := range fields {
		if flags&(1<<i) == 0 {
			continue
		}
		if w.numbers[i], b, err = uvarint(b); err != nil {
			return nil, nil, err
		}
		*f = &w.numbers[i]
	}
	if flags&hasReject != 0 {
		w.reject = true
		w.Reject = &w.reject
	}
	if flags&hasContext != 0 {
		var ctx []byte
		if ctx, b, err = takeBytes(b); err != nil {
			return nil, nil, err
		}
		w.Context = append([]byte(nil), ctx...)
	}
	if flags&hasEntries != 0 {
		if w.Entries, b, err = decodeEntries(b); err != nil {
			return nil, nil, err
		}
	}
	if flags&hasSnapshot != 0 {
		if w.Snapshot, b, err = decodeSnapshot(b); err != nil {
			return nil, nil, err
		}
	}
	return &w.Message, b, nil
}

// ownCopy is the size in bytes from which an entry's data is copied by itself. Smaller ones share
// memory, which has to be filled with zeros first.
const ownCopy = 1 << 10

func decodeEntries(b []byte) ([]*pb.Entry, []byte, error) {
	n, b, err := uvarint(b)
	if err != nil {
		return nil, nil, err
	}
	// An entry takes four bytes at least: a larger count is a lie that must not
	// make us allocate.
	if n > uint64(len(b))/4 {
		return nil, nil, errTruncated
	}
	block := make([]wireEntry, n)
	ents := make([]*pb.Entry, n)
	size := 0
	for i := range block {
		w := &block[i]
		if len(b) == 0 {
			return nil, nil, errTruncated
		}
		w.typ = pb.EntryType(b[0])
		if w.term, b, err = uvarint(b[1:]); err != nil {
			return nil, nil, err
		}
		if w.index, b, err = uvarint(b); err != nil {
			return nil, nil, err
		}
		if w.Data, b, err = takeBytes(b); err != nil {
			return nil, nil, err
		}
		if len(w.Data) < ownCopy {
			size += len(w.Data)
		}
		w.Type, w.Term, w.Index = &w.typ, &w.term, &w.index
		ents[i] = &w.Entry
	}
	// Copied: entries stay in the log for long and must not pin the whole batch,
	// which carries other groups too, and whose memory is used again.
	buf := make([]byte, 0, size)
	for i := range block {
		switch w := &block[i]; {
		case len(w.Data) >= ownCopy:
			w.Data = bytes.Clone(w.Data)
		case len(w.Data) > 0:
			at := len(buf)
			buf = append(buf, w.Data...)
			w.Data = buf[at:len(buf):len(buf)]
		default:
			w.Data = nil
		}
	}
	return ents, b, nil
}

func decodeSnapshot(b []byte) (*pb.Snapshot, []byte, error) {
	index, b, err := uvarint(b)
	if err != nil {
		return nil, nil, err
	}
	term, b, err := uvarint(b)
	if err != nil {
		return nil, nil, err
	}
	conf, b, err := takeBytes(b)
	if err != nil {
		return nil, nil, err
	}
	cs, err := DecodeConf(conf)
	if err != nil {
		return nil, nil, err
	}
	body, b, err := takeBytes(b)
	if err != nil {
		return nil, nil, err
	}
	return newSnapshot(index, term, cs, append([]byte(nil), body...)), b, nil
}

func newSnapshot(index, term uint64, cs *pb.ConfState, body []byte) *pb.Snapshot {
	return &pb.Snapshot{
		Data:     body,
		Metadata: &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: cs},
	}
}

func uvarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errTruncated
	}
	return v, b[n:], nil
}

func takeBytes(b []byte) (val, rest []byte, err error) {
	n, b, err := uvarint(b)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(b)) {
		return nil, nil, errTruncated
	}
	return b[:n:n], b[n:], nil
}
