package state

import "github.com/rosterdb/rosterdb/internal/op"

// EncodeWrite appends the command of a write. now is the leader's clock in
// milliseconds since 1970; it becomes log time.
func EncodeWrite(dst []byte, now int64, w *op.Write) []byte { panic("unfinished") }

// EncodeOpen appends the command that opens a session for a bare JID.
func EncodeOpen(dst []byte, now int64, owner string) []byte { panic("unfinished") }

// EncodeRing appends the command that replaces the ring document if its epoch
// is still expectEpoch; else its result is Conflict. Result.Revision is the
// epoch afterwards.
func EncodeRing(dst []byte, now int64, expectEpoch uint64, doc []byte) []byte { panic("unfinished") }
