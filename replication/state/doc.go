// Package state is the replicated state machine of the store's partitions and
// the bbolt file that keeps it.
//
// A [Store] is one file per data node with all its partitions inside. The
// engine feeds each [Partition] the committed entries of its Raft group; what
// they change lives in memory until [Store.Flush] writes all of it in one
// transaction, together with each partition's applied position. After a crash
// the state is therefore exactly that of Durable, and the entries behind it
// come again from the write-ahead log.
//
// # What determines the state
//
// Only the entries do: no clock, no random number, no order of a map. Log time
// is the highest time that a leader has put into a command. The result of an
// entry is the same on every replica and at every replay.
//
// Each command first moves log time on and removes objects whose time has come,
// at most 1,024, the oldest first; those that wait are absent for conditions and reads
// all the same. A removal is a change of its own, with a revision of its root. While
// some wait (the backlog), a revision may stand for the states before and after: reads
// that tell one say so, and a condition on one is Unavailable, which is not recorded.
//
// A write names a session and a sequence. In this order:
//
//   - unknown or expired session: SessionExpired
//   - a session of another account: Denied
//   - sequence 0, or a floor above the sequence: Invalid
//   - the session's floor rises to the write's; answers below it are dropped
//   - sequence below the floor: Unknown, not executed
//   - sequence more than op.MaxWindow above the floor: Unknown, not executed
//   - sequence answered before: the same answer
//   - malformed: Invalid, with nothing recorded, since it is so at any time
//   - a condition fails, of the root or of a mutation: Conflict, recorded. Items
//     tell the version that each object has, and Conflict for those whose condition
//     failed; Invalid for an Add to what is no number, or whose sum does not fit
//   - nothing but checks: OK, and the revision stays
//   - otherwise the root's revision grows by one and becomes the version of the
//     objects put. A delete of nothing is NotFound in its item, no failure
//
// A settle goes by the same rules, but for the floor, which it does not name. Where
// there is no answer yet, it records NotApplied as the answer.
//
// # The history
//
// Each batch that changes something, and each removal, leaves a record of its
// events, without values. The records lie in blocks that begin and end at the same
// entries on all replicas; the oldest block goes when there are Options.HistoryEntries
// records, or Options.HistoryBytes, without it. Then the floor rises to its last
// entry. A read of changes is answered by any replica; below the floor it is
// Compacted. Of the newest blocks the records are in memory.
//
// # Indexes
//
// A command tells a partition the indexes of a ring document; those of an older one
// change nothing. An index is built from the objects that are there, in the order
// of their keys, 512 objects or 1 MiB at each tick and at each entry whose number is
// a multiple of 32; how far it is belongs to the state. Meanwhile changes are entered at
// once, since entering twice is the same as once. Ready, it answers queries, and
// events tell from then on whether their object was and is in it. Entries of an
// index that is no longer defined are removed in steps of the same kind.
//
// # The file
//
//	bucket "meta"         "format" -> version, 4 bytes big endian; "store" -> whose file it is;
//	                      "log" -> record of the log that a flush had seen, 8 bytes big endian
//	  "store"             UUID of the data directory, as text; files of before it
//	                      was written have none until they are opened
//	  "tombp"+id          index, term, vote: what stays of a deleted replica
//	bucket "p"+id         id: 4 bytes big endian, one bucket a partition
//	  "position"          index, term, log time, length and bytes of the ConfState
//	  "ring"              epoch, document; only in the meta partition
//	  bucket "objects"    root NUL path -> version, length and bytes of the
//	                      references, value; for an object that expires, a 0 and
//	                      the time stand before the references
//	  bucket "expiry"     time, 8 bytes big endian, then the object's key -> nothing
//	  bucket "history"    first entry of a block, 8 bytes big endian -> records
//	  bucket "index"      number, 4 bytes big endian, value, key of the object -> nothing
//	  bucket "machine"    "history" -> floor; entries, records, bytes of each block
//	                      "indexes" -> definitions, how far each is
//	  bucket "roots"      root -> revision; stays when all objects are deleted
//	  bucket "sessions"   id, 8 bytes big endian -> owner, time of use, floor,
//	                      recorded answers
//
// Numbers in values are uvarints. Every value begins with the CRC32C of its key
// and what follows, and is checked whenever it is read.
//
// # Two generations
//
// Apply fills the active overlay. Flush makes it the flushing overlay, which
// nobody changes any more, and gives Apply a new one; so Apply never waits for
// the disk. A reader looks into the active overlay, the flushing one, then
// bbolt. If the disk is full the flushing overlay stays, and the next Flush
// adds the active one to it and tries again.
package state
