package c2s

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is what many clients still speak
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// errMalformed is answered with the SASL failure malformed-request.
var errMalformed = errors.New("malformed SASL message")

// scramHash is one of the two hash functions of SCRAM here.
type scramHash struct {
	name string
	new  func() hash.Hash
	keys func(*login) account.Keys
}

func scramHashes() []scramHash {
	return []scramHash{
		{"SCRAM-SHA-256", sha256.New, func(l *login) account.Keys { return l.sha256 }},
		{"SCRAM-SHA-1", sha1.New, func(l *login) account.Keys { return l.sha1 }},
	}
}

// scramExchange is what the server remembers between the two steps.
type scramExchange struct {
	gs2Header, clientFirstBare, serverFirst, nonce []byte
	keys                                           account.Keys
}

// mechanism returns the server's half of SCRAM (RFC 5802, RFC 7677) for one login. It needs the
// stored keys only; the salted password never exists here.
func (h scramHash) mechanism(l *login) sasl.Mechanism {
	return sasl.Mechanism{
		Name: h.name,
		Next: func(n *sasl.Negotiator, msg []byte, data any) (bool, []byte, any, error) {
			if n.State()&sasl.StepMask == sasl.AuthTextSent {
				return h.first(n, l, msg)
			}
			ex, ok := data.(*scramExchange)
			if !ok {
				return false, nil, nil, sasl.ErrInvalidState
			}
			resp, err := h.final(l, ex, msg)
			return false, resp, nil, err
		},
	}
}

// first answers the client-first-message: gs2-header "n=" name ",r=" nonce.
func (h scramHash) first(n *sasl.Negotiator, l *login, msg []byte) (bool, []byte, any, error) {
	parts := bytes.SplitN(msg, []byte{','}, 3)
	if len(parts) != 3 {
		return false, nil, nil, errMalformed
	}
	switch flag := string(parts[0]); {
	case flag == "n", flag == "y": // channel binding is not offered, so "y" is no downgrade
	default:
		return false, nil, nil, errMalformed
	}
	authzid, ok := strings.CutPrefix(string(parts[1]), "a=")
	if !ok && len(parts[1]) > 0 {
		return false, nil, nil, errMalformed
	}
	bare := parts[2]
	fields := bytes.Split(bare, []byte{','})
	if len(fields) < 2 || !bytes.HasPrefix(fields[0], []byte("n=")) || !bytes.HasPrefix(fields[1], []byte("r=")) || len(fields[1]) < 2+8 {
		return false, nil, nil, errMalformed
	}
	name, ok := unescapeName(string(fields[0][2:]))
	if !ok {
		return false, nil, nil, errMalformed
	}
	if authzid, ok = unescapeName(authzid); !ok {
		return false, nil, nil, errMalformed
	}
	if err := l.lookup(name, authzid); err != nil {
		return false, nil, nil, err
	}
	keys := h.keys(l)
	nonce := append(bytes.Clone(fields[1][2:]), base64.RawURLEncoding.EncodeToString(n.Nonce())...)
	out := append([]byte("r="), nonce...)
	out = append(out, ",s="...)
	out = base64.StdEncoding.AppendEncode(out, keys.Salt)
	out = strconv.AppendInt(append(out, ",i="...), int64(keys.Iterations), 10)
	return true, out, &scramExchange{
		gs2Header:       bytes.Clone(msg[:len(msg)-len(bare)]),
		clientFirstBare: bytes.Clone(bare),
		serverFirst:     out, nonce: nonce, keys: keys,
	}, nil
}

// unescapeName undoes the saslname encoding of RFC 5802 section 5.1.
func unescapeName(s string) (string, bool) {
	if strings.Count(s, "=") != strings.Count(s, "=2C")+strings.Count(s, "=3D") {
		return "", false
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "=2C", ","), "=3D", "="), true
}

// final checks the client-final-message and returns the server's signature.
func (h scramHash) final(l *login, ex *scramExchange, msg []byte) ([]byte, error) {
	cut := bytes.LastIndex(msg, []byte(",p="))
	if cut < 0 {
		return nil, errMalformed
	}
	withoutProof := msg[:cut]
	proof, err := base64.StdEncoding.DecodeString(string(msg[cut+3:]))
	fields := bytes.Split(withoutProof, []byte{','})
	if err != nil || len(fields) < 2 || !bytes.HasPrefix(fields[0], []byte("c=")) || !bytes.HasPrefix(fields[1], []byte("r=")) {
		return nil, errMalformed
	}
	binding, err := base64.StdEncoding.DecodeString(string(fields[0][2:]))
	if err != nil {
		return nil, errMalformed
	}
	if !bytes.Equal(binding, ex.gs2Header) || !bytes.Equal(fields[1][2:], ex.nonce) {
		return nil, sasl.ErrAuthn
	}
	auth := bytes.Join([][]byte{ex.clientFirstBare, ex.serverFirst, withoutProof}, []byte{','})
	key := h.mac(ex.keys.StoredKey, auth)
	if len(proof) != len(key) {
		return nil, sasl.ErrAuthn
	}
	subtle.XORBytes(key, key, proof)
	stored := h.new()
	stored.Write(key)
	// A decoy's keys fit no proof; the account's existence is checked last, in the same time.
	if !hmac.Equal(stored.Sum(nil), ex.keys.StoredKey) || !l.exists {
		return nil, sasl.ErrAuthn
	}
	return base64.StdEncoding.AppendEncode([]byte("v="), h.mac(ex.keys.ServerKey, auth)), nil
}

func (h scramHash) mac(key, msg []byte) []byte {
	m := hmac.New(h.new, key)
	m.Write(msg)
	return m.Sum(nil)
}
