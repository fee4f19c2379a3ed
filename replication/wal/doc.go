// Package wal is the write-ahead log of a data node: the only file that an
// acknowledgement waits for. One log serves all Raft groups of the node, so one
// fdatasync makes a batch of all of them durable.
//
// # Files
//
// The log is a run of segments, 0000000000000001.wal and on, without gaps. A
// segment is allocated and filled with zeros before it is used, since
// overwriting blocks that exist costs half of what appending does: no
// allocation has to reach the file system's journal. One or two spare segments
// lie ready (spare-N), and released segments become spares again. A file
// new-N is a spare in the making.
//
// A segment begins with a page of its own:
//
//	offset size
//	0      8    magic "RDBWAL\r\n"
//	8      4    CRC32C of bytes 12..63
//	12     4    format version, 1
//	16     16   id of the data directory
//	32     8    number of the segment
//	40     8    number of its first record
//	48     8    salt, random
//	56     8    size of the file
//	2048   4    once there is a next segment: CRC32C of salt and bytes 2056..2063
//	2056   8    its number
//
// Records follow from offset 4096 on, each at a multiple of 8. A record is a
// whole [Batch], so a batch is there entirely or not at all:
//
//	0      4    CRC32C of salt and bytes 4..31
//	4      4    CRC32C of salt and payload
//	8      4    length of the payload
//	12     1    type, 1 = batch; three zero bytes
//	16     8    number of the segment
//	24     8    number of the record, counting up by one through all segments
//	32     …    payload: uvarints, see encodeBatch
//
// All integers are little endian. Zeros follow up to the next multiple of 4096:
// the write covers whole pages, so the kernel never has to read a page of a
// recycled segment from the disk first. The salt makes what a recycled segment
// held before, or what a user wrote into a value, worthless as a record.
//
// # Recovery
//
// A segment that is followed says so since before the next one's first record was acknowledged; where
// that one is not there, its records are missing and Open fails with [ErrCorrupt].
//
// Records are read until the first one that is invalid. At most the newest
// write was under way when the node stopped, so everything before it must be
// whole: if any valid record header follows, or the next segment goes on with
// another record number, data is missing in the middle and Open fails with
// [ErrCorrupt], naming file and offset. It repairs nothing. Otherwise the
// invalid bytes are a torn tail: they are overwritten with zeros and reported
// as a [Cut]. After a crash a damaged last record cannot be told from a torn one;
// it is cut as well, and the replicas hold what it said. What Open finds it syncs, file and
// directory, before it counts: a killed process may have written it and not synced it.
//
// A log that is closed leaves the file "stopped" with the number of its last
// record. Where it is found no record was under way, and one that is missing or
// damaged is [ErrCorrupt] also at the end. Open removes the file before it
// appends anything.
//
// # Errors
//
// A failed write or sync leaves the disk in an unknown state, and the kernel
// may have dropped the pages, so nothing is tried again: the log is dead
// ([ErrFailed]). Want of room is noticed when a spare is made, before anything
// is written: Append then refuses entries with [ErrFull], while votes and terms
// still fit into the active segment.
package wal
