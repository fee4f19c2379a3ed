package appclient

import (
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/internal/wire"
)

const (
	// readAnswer is how many bytes of XML the answers to the reads of one IQ are
	// planned to have. A node gives them 150 KiB (docs/protocol.md) and cuts what
	// does not fit, so that it has to be asked for again; the difference is for
	// values larger than usual.
	readAnswer = 120 << 10
	// maxBurst is how many more IQs leave with one whose answer would be too large.
	// Together they ask for what xmppd holds for a client without ado, about 1 MiB.
	maxBurst = 7
)

// answerSize is the moving average of what a read adds to an answer, in bytes of
// XML, whole as if there was room for all of it.
type answerSize int

// learn takes in one answer to a Get.
func (a *answerSize) learn(r *op.ReadResult, offset uint64) {
	size := wire.ReplySize(r)
	for i := range r.Objects {
		o := &r.Objects[i]
		left := min(o.Size-min(offset, o.Size), readAnswer)
		size += wire.ObjectSize(o) + wire.ValueSize(int(left))
	}
	*a += (answerSize(size) - *a) / 16
}

// fit is how many reads may share an IQ.
func (a answerSize) fit() int { return max(1, readAnswer/max(1, int(a))) }
