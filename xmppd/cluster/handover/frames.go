package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/xmppd/cluster/link"
)

// Channel of the links.
const Channel link.Channel = 5

// kind of a frame: it comes first, then the number of the handover, then what depends on the kind.
type kind byte

// Kinds never change: servers of several versions understand one another.
const (
	kindWant    kind = 1  // to the giver: JSON, a wanted
	kindNone    kind = 2  // to the taker: JSON, a none
	kindState   kind = 3  // to the taker: JSON, a session.State
	kindStanzas kind = 4  // to the taker: stanzas that are kept, each behind its length
	kindOffer   kind = 5  // to the taker: that was all
	kindReady   kind = 6  // to the giver
	kindRefused kind = 7  // to the giver: instead of ready
	kindCommit  kind = 8  // to the taker: the session is yours
	kindDone    kind = 9  // to the giver: others find it here
	kindHanded  kind = 10 // to the taker, after commit: the session's full JID behind its length, a stanza
	kindCancel  kind = 11 // to the taker: the giver has changed its mind
	kindLeft    kind = 12 // to the taker: nothing of the session is left with the giver
)

// pushed is set in the numbers of handovers that the giver has begun, and counted.
const pushed = 1 << 63

// wanted is a question for a session.
type wanted struct {
	User string `json:"user"` // bare JID that has logged in
	ID   string `json:"id"`
}

// none is the answer of a server that does not give the session.
type none struct {
	Moved string `json:"moved,omitempty"` // the server that has got it meanwhile
}

var errFrame = errors.New("frame of a handover can't be read")

func head(k kind, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(k)}, number)
}

func cutHead(frame []byte) (k kind, number uint64, rest []byte, err error) {
	if len(frame) < 9 {
		return 0, 0, nil, errFrame
	}
	return kind(frame[0]), binary.BigEndian.Uint64(frame[1:]), frame[9:], nil
}

func appendJSON(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return append(b, text...), nil
}

func appendSized(b, raw []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(raw))), raw...)
}

func cutSized(b []byte) (raw, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errFrame
	}
	end := size + int(n) //nolint:gosec // not more than there is
	return b[size:end], b[end:], nil
}

// cutStanzas splits what kindStanzas carries. The stanzas are copies.
func cutStanzas(b []byte) (out [][]byte, err error) {
	b = append([]byte(nil), b...)
	for len(b) > 0 {
		var raw []byte
		if raw, b, err = cutSized(b); err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}
