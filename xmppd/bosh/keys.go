package bosh

import (
	"crypto/sha1" //nolint:gosec // XEP-0124 section 15 wants it
	"crypto/subtle"
	"encoding/hex"
)

// keys protect the requests of a session that is not encrypted (XEP-0124 section 15): each key is
// what the one before it is the hash of.
type keys struct{ last string }

func (k *keys) used() bool { return k.last != "" }

// check takes the keys of a request, in order.
func (k *keys) check(req *request) bool {
	if k.last == "" {
		return true
	}
	sum := sha1.Sum([]byte(req.key)) //nolint:gosec // see above
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(k.last)) == 0 {
		return false
	}
	k.last = req.key
	if req.newKey != "" {
		k.last = req.newKey
	}
	return true
}
