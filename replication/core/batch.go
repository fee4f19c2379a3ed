package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rosterdb/rosterdb/ring"
)

// A batch carries the messages of all groups from one node to another, so that
// heartbeats of many groups are one stanza. Format, version 2:
//
//	version byte (2) | flags byte | incarnation uvarint | member it is for, uvarint | records… | CRC-32C of all before, 4 bytes big-endian
//
// The member stands in it since the address it travels to may be another's by now: a
// machine that got an empty disk is a new member in the old one's place, and what a
// leader knows of the old one's log is no truth about the new one's.
//
// A record is a kind byte, the group (uvarint) and the body: for recMessage and
// recPatient a Raft message (see appendMessage), for recSleep term and commit (uvarints), for
// recAsk and recGone term, index and the number of the question, for recReport
// the report's epoch, term, index, a byte that is 1 for a joint configuration,
// voters and learners (each with their number in front), for recPull, recFrame and
// recLost the name of a picture (with its length), then numbers of the first frame
// and of that behind the last, or number, flags (a byte) and bytes (with their
// length) of a frame, or nothing; recWant, recDigest and recWrong are like recAsk,
// recOffer has a snapshot's metadata and name. A batch without records is a node heartbeat.
const (
	batchVersion = 2

	flagNoLead = 1 // the sender does not want to lead now (disk full, stopping)
	flagWaited = 2 // what is patient in it has waited already

	recMessage = 1
	recSleep   = 2
	recAsk     = 3 // a replica asks whether it may go
	recGone    = 4 // it may: it is no member as of index
	recReport  = 5
	recPatient = 6 // a recMessage whose answer nobody waits for, see patience.go
	recPull    = 7 // a follower pulls frames of a picture
	recFrame   = 8
	recLost    = 9  // the picture is not held any more
	recWant    = 10 // a damaged replica asks for a state at index or later
	recOffer   = 11 // the picture of one
	recDigest  = 12 // the digest (in the place of a question's number) of the state at index
	recWrong   = 13 // the receiver's state at index is not that of the majority

	frameLast   = 1 // the picture ends with this frame
	frameComing = 2 // no frame: the sender lives, and will send

	batchTail = crc32.Size
)

// ErrBatchVersion says that the sender of a batch is of a build with another format. The batch is dropped.
var ErrBatchVersion = errors.New("batch has a version this node does not know")

// errBatchSum is of a batch that is dropped: Raft repeats what matters.
var errBatchSum = errors.New("batch is damaged: its checksum does not match")

// ErrMisaddressed says that a batch was meant for another member, which had this
// node's place before. It is dropped.
var ErrMisaddressed = errors.New("batch is for another member")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func appendBatchHead(dst []byte, flags byte, incarnation, to uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(dst, batchVersion, flags), incarnation), to)
}

func sealBatch(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func appendMessageRecord(dst []byte, kind byte, group uint32, m *pb.Message) []byte {
	dst = binary.AppendUvarint(append(dst, kind), uint64(group))
	return appendMessage(dst, m)
}

// recordRoom is how many bytes appendMessageRecord appends at most; a snapshot comes on top.
func recordRoom(m *pb.Message) int {
	size := 96 + len(m.GetContext())
	for _, e := range m.GetEntries() {
		size += 32 + len(e.GetData())
	}
	return size
}

func appendSleepRecord(dst []byte, group uint32, term, commit uint64) []byte {
	dst = binary.AppendUvarint(append(dst, recSleep), uint64(group))
	dst = binary.AppendUvarint(dst, term)
	return binary.AppendUvarint(dst, commit)
}

func appendAskRecord(dst []byte, kind byte, group uint32, term, index, nonce uint64) []byte {
	dst = binary.AppendUvarint(append(dst, kind), uint64(group))
	return binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(dst, term), index), nonce)
}

func appendNameRecord(dst []byte, kind byte, group uint32, name []byte) []byte {
	return appendBytes(binary.AppendUvarint(append(dst, kind), uint64(group)), name)
}

func appendPullRecord(dst []byte, group uint32, name []byte, from, to uint64) []byte {
	dst = appendNameRecord(dst, recPull, group, name)
	return binary.AppendUvarint(binary.AppendUvarint(dst, from), to)
}

func appendFrameRecord(dst []byte, group uint32, name []byte, n uint64, flags byte, frame []byte) []byte {
	dst = appendNameRecord(dst, recFrame, group, name)
	return appendBytes(append(binary.AppendUvarint(dst, n), flags), frame)
}

func appendOfferRecord(dst []byte, group uint32, s *pb.Snapshot) []byte {
	return appendSnapshot(binary.AppendUvarint(append(dst, recOffer), uint64(group)), s)
}

func appendReportRecord(dst []byte, group uint32, r *ring.Report) []byte {
	dst = binary.AppendUvarint(append(dst, recReport), uint64(group))
	dst = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(dst, r.Epoch), r.Term), r.Index)
	if r.Joint {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	for _, ids := range [...][]uint64{r.Voters, r.Learners} {
		dst = binary.AppendUvarint(dst, uint64(len(ids)))
		for _, id := range ids {
			dst = binary.AppendUvarint(dst, id)
		}
	}
	return dst
}

// batchReader walks the records of a batch.
type batchReader struct {
	flags       byte
	incarnation uint64
	rest        []byte
	from, to    uint64
	aliased     bool // Faults.BatchKept
}

// record is one record; which fields are set depends on its kind.
type record struct {
	kind         byte
	group        uint32
	msg          *pb.Message
	term, commit uint64
	index, nonce uint64
	report       ring.Report

	name     []byte // of a picture
	from, to uint64 // frames
	flags    byte
	data     []byte // of a frame; aliases the batch
	snap     *pb.Snapshot
}

// openBatch reads the head of what a member has sent.
func openBatch(b []byte, from uint64) (*batchReader, error) {
	if len(b) < 2+1+1+batchTail {
		return nil, errTruncated
	}
	body, tail := b[:len(b)-batchTail], b[len(b)-batchTail:]
	if body[0] != batchVersion {
		return nil, fmt.Errorf("%w: %d", ErrBatchVersion, body[0])
	}
	if crc32.Checksum(body, castagnoli()) != binary.BigEndian.Uint32(tail) {
		return nil, errBatchSum
	}
	r := &batchReader{flags: body[1], from: from}
	var err error
	if r.rest, err = uvarints(body[2:], &r.incarnation, &r.to); err != nil {
		return nil, err
	}
	return r, nil
}

// next returns the next record; ok is false at the end or on an error.
func (r *batchReader) next() (rec record, ok bool, err error) {
	if len(r.rest) == 0 {
		return record{}, false, nil
	}
	rec.kind = r.rest[0]
	group, rest, err := uvarint(r.rest[1:])
	if err != nil {
		return record{}, false, err
	}
	rec.group = uint32(group)
	switch rec.kind {
	case recMessage, recPatient:
		rec.msg, rest, err = decodeMessage(rest, r.from, r.to)
		if r.aliased && err == nil {
			aliasEntries(rec.msg, r.rest[:len(r.rest)-len(rest)])
		}
	case recSleep:
		if rec.term, rest, err = uvarint(rest); err == nil {
			rec.commit, rest, err = uvarint(rest)
		}
	case recAsk, recGone, recWant, recDigest, recWrong:
		rest, err = uvarints(rest, &rec.term, &rec.index, &rec.nonce)
	case recReport:
		rest, err = decodeReport(rest, &rec.report)
	case recPull, recFrame, recLost:
		rest, err = decodePicture(rest, &rec)
	case recOffer:
		rec.snap, rest, err = decodeSnapshot(rest)
	default:
		err = fmt.Errorf("batch has a record of unknown kind %d", rec.kind)
	}
	if err != nil {
		return record{}, false, err
	}
	r.rest = rest
	return rec, true, nil
}

// aliasEntries is what Faults.BatchKept does: it leaves the data of entries where it was read.
func aliasEntries(m *pb.Message, raw []byte) {
	for _, e := range m.GetEntries() {
		if at := bytes.Index(raw, e.Data); len(e.Data) > 0 {
			e.Data = raw[at : at+len(e.Data)]
		}
	}
}

// decodePicture reads what recPull, recFrame and recLost say.
func decodePicture(b []byte, rec *record) (rest []byte, err error) {
	if rec.name, b, err = takeBytes(b); err != nil {
		return nil, err
	}
	switch rec.kind {
	case recPull:
		return uvarints(b, &rec.from, &rec.to)
	case recFrame:
		if rec.from, b, err = uvarint(b); err != nil {
			return nil, err
		}
		if len(b) == 0 {
			return nil, errTruncated
		}
		rec.flags = b[0]
		rec.data, b, err = takeBytes(b[1:])
	}
	return b, err
}

// uvarints reads numbers one after the other.
func uvarints(b []byte, to ...*uint64) (rest []byte, err error) {
	for _, v := range to {
		if *v, b, err = uvarint(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func decodeReport(b []byte, r *ring.Report) (rest []byte, err error) {
	if b, err = uvarints(b, &r.Epoch, &r.Term, &r.Index); err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, errTruncated
	}
	r.Joint = b[0] == 1
	b = b[1:]
	for _, ids := range [...]*[]uint64{&r.Voters, &r.Learners} {
		var n uint64
		if n, b, err = uvarint(b); err != nil {
			return nil, err
		}
		if n > uint64(len(b)) {
			return nil, errTruncated
		}
		*ids = make([]uint64, n)
		for i := range *ids {
			if (*ids)[i], b, err = uvarint(b); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}
