package appclient

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/rosterdb/rosterdb/internal/op"
)

// OpID names one write for good: it can be kept as text, also by another
// process, and asked after with Client.Status under the same account. The zero
// value names none.
type OpID struct {
	cluster   uint32 // hash of the cluster's UUID
	partition uint32
	session   op.Session
	seq       uint64
}

// IsZero says that the id names no write.
func (id OpID) IsZero() bool { return id.session == 0 }

// String returns the id as text, for ParseOpID. It has no spaces.
func (id OpID) String() string {
	if id.IsZero() {
		return ""
	}
	return fmt.Sprintf("op1-%08x-%d-%d-%d", id.cluster, id.partition, id.session, id.seq)
}

// ParseOpID reads what OpID.String wrote. Errors: ErrInvalid.
func ParseOpID(text string) (OpID, error) {
	bad := fmt.Errorf("%w: %q is no operation's id", ErrInvalid, text)
	part := strings.Split(text, "-")
	if len(part) != 5 || part[0] != "op1" || len(part[1]) != 8 {
		return OpID{}, bad
	}
	if _, err := hex.DecodeString(part[1]); err != nil {
		return OpID{}, bad
	}
	var n [4]uint64
	for i, base := range []int{16, 10, 10, 10} {
		var err error
		if n[i], err = strconv.ParseUint(part[i+1], base, 64); err != nil {
			return OpID{}, bad
		}
	}
	id := OpID{cluster: uint32(n[0]), partition: uint32(n[1]), session: op.Session(n[2]), seq: n[3]}
	if uint64(id.partition) != n[1] || id.session == 0 || id.seq == 0 || id.seq > op.MaxSeq {
		return OpID{}, bad
	}
	return id, nil
}

// MarshalText makes the id fit for JSON and the like.
func (id OpID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote. Errors: ErrInvalid.
func (id *OpID) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*id = OpID{}
		return nil
	}
	*id, err = ParseOpID(string(text))
	return err
}

// id names a write that has its sequence.
func (e *engine) id(c *call) OpID {
	return OpID{cluster: e.cluster(), partition: c.part.id, session: c.write.Session, seq: c.write.Seq}
}

func (e *engine) cluster() uint32 { return uint32(xxhash.Sum64String(e.doc.Cluster)) }

// checkID says what is wrong with an id, for a root or, if that is empty, for any.
func (e *engine) checkID(id OpID, root string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case id.IsZero():
		return fmt.Errorf("%w: the operation's id is empty", ErrInvalid)
	case id.cluster != e.cluster():
		return fmt.Errorf("%w: operation %s is another cluster's", ErrInvalid, id)
	case uint64(id.partition) >= uint64(len(e.parts)):
		return fmt.Errorf("%w: operation %s is in no partition of this cluster", ErrInvalid, id)
	case root != "" && id.partition != e.partitionOf(root):
		return fmt.Errorf("%w: operation %s was not made for root %q", ErrInvalid, id, root)
	}
	return nil
}
