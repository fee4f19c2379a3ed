package wire

import "github.com/rosterdb/rosterdb/internal/op"

// Open asks for a session in a partition.
type Open struct {
	Tag       uint64
	Partition uint32
	Bad       string // what is wrong with it; answer Invalid
}

// Write is a write on its way.
type Write struct {
	Tag       uint64 // names the operation in the answer; unique within a client's connection
	Partition uint32
	op.Write
	Bad string
}

// Read is a read on its way.
type Read struct {
	Tag       uint64
	Partition uint32
	op.Read
	// With is the member that the client asks for its term at the same time, so that
	// the leader need not confirm a Get by itself; 0: none.
	With uint64
	Bad  string
}

// Settle is a question after a write on its way.
type Settle struct {
	Tag       uint64
	Partition uint32
	op.Settle
	Bad string
}

// Request is what one <ops/> element carries.
type Request struct {
	Epoch   uint64 // of the ring that the client used
	Time    int64  // the highest log time that the client has seen, milliseconds since 1970; 0: none
	Opens   []Open
	Writes  []Write
	Settles []Settle
	Reads   []Read
	Cancels []uint64 // tags of reads of changes, asked before, that are to wait no longer
}

// Len is the number of operations that are to be answered.
func (r *Request) Len() int { return len(r.Opens) + len(r.Writes) + len(r.Settles) + len(r.Reads) }

// WriteReply answers an Open, a Write or a Settle.
type WriteReply struct {
	Tag uint64
	op.WriteResult
}

// ReadReply answers a Read.
type ReadReply struct {
	Tag uint64
	// Term: the result counts only if the member that the read was with says the same
	// term of the partition. 0: it counts.
	Term uint64
	op.ReadResult
}

// Response is what one <results/> element carries.
type Response struct {
	Epoch  uint64 // of the ring that the node has
	Time   int64  // the node's time, at least the log time of all that is answered; 0: not told
	Writes []WriteReply
	Reads  []ReadReply
}

// codeNames are the names of the codes on the wire.
var codeNames = [...]string{
	op.OK: "ok", op.NotFound: "not-found", op.Conflict: "conflict", op.Redirect: "redirect",
	op.Retry: "retry", op.Unavailable: "unavailable", op.Full: "full", op.Unknown: "unknown",
	op.SessionExpired: "session-expired", op.Invalid: "invalid", op.TooLarge: "too-large", op.Denied: "denied",
	op.NotApplied: "not-applied", op.Compacted: "compacted", op.Overloaded: "overloaded",
}

// codeOf returns the code of a name. A name of a later version of the protocol is
// Unknown: whatever it says, nothing may be concluded from it.
func codeOf(name []byte) op.Code {
	for c, n := range codeNames {
		if n != "" && n == string(name) {
			return op.Code(c)
		}
	}
	return op.Unknown
}

func codeName(c op.Code) string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return codeNames[op.Unknown]
}
