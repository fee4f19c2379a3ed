package state

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/replication/internal/binenc"
)

// commandVersion is the first byte of a command, its kind the second. Older ones can
// still be read, and have the effect that they had: 1 has neither owner nor condition on
// the root in a write, and up to 2 an entry removes few expired objects, evaluates a
// condition on a root in spite of those that are left, and knows no bound of an owner's sessions.
//
// It is to be raised, in the same commit, by every change after which a command, or an entry of any kind, leaves another state or
// gets another answer than before: bounds (those of index entries, answers, sessions, expiry), the order of checks, what an index
// holds, and defaults of Options that the state depends on. Apply keeps what older versions did, by c.version. Else replicas of
// two builds differ from the first such command on, and the scrub replaces what is sound. Only before the first release are
// such changes made without it.
const commandVersion = countsAll

// countsAll is the first version that counts what is left expired, and the sessions of an owner.
const countsAll = 3

const (
	kindWrite = iota + 1
	kindOpen
	kindRing
	kindSettle
	kindTick
	kindIndexes
	kindScrub
)

// withTTL in the kind of a mutation says that a TTL follows.
const withTTL = 0x80

// maxOwner is the longest bare JID in bytes: two parts of 1023 (RFC 7622) and "@".
const maxOwner = 2047

// Owner stands for the bare JID that owns a session: it is refused to others in the
// state machine, also where the node that proposed does not know the session yet.
type Owner [8]byte

// OwnerOf returns the first bytes of the SHA-256 of a bare JID.
func OwnerOf(bareJID string) (o Owner) {
	sum := sha256.Sum256([]byte(bareJID))
	copy(o[:], sum[:])
	return o
}

// EncodeWrite appends the command of a write by an account. now is the leader's
// clock in milliseconds since 1970; it becomes log time. The write should have
// passed [op.Write.Check].
func EncodeWrite(dst []byte, now int64, by Owner, w *op.Write) []byte {
	dst = slices.Grow(dst, writeRoom(w)) // it would grow step by step
	dst = append(appendHead(dst, kindWrite, now), by[:]...)
	dst = binary.AppendUvarint(dst, uint64(w.Session))
	dst = binary.AppendUvarint(dst, w.Seq)
	dst = binary.AppendUvarint(dst, w.Floor)
	dst = append(dst, byte(w.RootCond.Kind))
	if w.RootCond.Kind == op.VersionIs {
		dst = binary.AppendUvarint(dst, w.RootCond.Version)
	}
	dst = binenc.AppendString(dst, w.Root)
	dst = binary.AppendUvarint(dst, uint64(len(w.Mutations)))
	for i := range w.Mutations {
		dst = appendMutation(dst, &w.Mutations[i])
	}
	return dst
}

// writeRoom is about how many bytes the command of a write takes: most of its numbers are small.
func writeRoom(w *op.Write) int {
	size := 48 + len(w.Root)
	for i := range w.Mutations {
		m := &w.Mutations[i]
		size += 16 + len(m.Path) + len(m.Value)
		for k := range m.Refs {
			size += 4 + len(m.Refs[k].Root) + len(m.Refs[k].Path)
		}
	}
	return size
}

func appendMutation(dst []byte, m *op.Mutation) []byte {
	kind := byte(m.Kind)
	if m.TTL > 0 {
		kind |= withTTL
	}
	dst = append(dst, kind, byte(m.Cond.Kind))
	if m.Cond.Kind == op.VersionIs {
		dst = binary.AppendUvarint(dst, m.Cond.Version)
	}
	dst = binenc.AppendString(dst, m.Path)
	if m.TTL > 0 {
		dst = binary.AppendUvarint(dst, uint64(m.TTL))
	}
	switch m.Kind {
	case op.Put:
		dst = binenc.AppendBytes(appendRefs(dst, m.Refs), m.Value)
	case op.Add:
		dst = binary.AppendVarint(dst, m.Delta)
	}
	return dst
}

// EncodeSettle appends the command that finds out what became of a write, and
// makes sure that it stays so.
func EncodeSettle(dst []byte, now int64, by Owner, s op.Settle) []byte {
	dst = append(appendHead(dst, kindSettle, now), by[:]...)
	dst = binary.AppendUvarint(dst, uint64(s.Session))
	return binary.AppendUvarint(dst, s.Seq)
}

// EncodeTick appends a command that only moves log time on: for a leader that
// writes nothing else when [Partition.NextExpiry] has come.
func EncodeTick(dst []byte, now int64) []byte { return appendHead(dst, kindTick, now) }

// EncodeOpen appends the command that opens a session for a bare JID.
func EncodeOpen(dst []byte, now int64, owner string) []byte {
	return binenc.AppendString(appendHead(dst, kindOpen, now), owner)
}

// EncodeRing appends the command that replaces the ring document if its epoch
// is still expectEpoch; else its result is Conflict. Result.Revision is the
// epoch afterwards.
func EncodeRing(dst []byte, now int64, expectEpoch uint64, doc []byte) []byte {
	dst = appendHead(dst, kindRing, now)
	dst = binary.AppendUvarint(dst, expectEpoch)
	return binenc.AppendBytes(dst, doc)
}

func appendHead(dst []byte, kind byte, now int64) []byte {
	return binary.AppendUvarint(append(dst, commandVersion, kind), uint64(max(now, 0)))
}
