package c2s

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // SCRAM-SHA-1 is what many clients still speak
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// scramHash is one of the two hash functions of SCRAM here.
type scramHash struct {
	new  func() hash.Hash
	keys func(*login) account.Keys
}

func scramSHA256() scramHash {
	return scramHash{sha256.New, func(l *login) account.Keys { return l.sha256 }}
}

func scramSHA1() scramHash {
	return scramHash{sha1.New, func(l *login) account.Keys { return l.sha1 }}
}

const (
	minNonce    = 8  // characters of a client's nonce that are enough to answer
	serverNonce = 18 // random bytes
)

// scramExchange is the server's half of SCRAM (RFC 5802, RFC 7677). It needs the stored keys only; neither
// the password nor the salted password ever exists here. With plus the exchange is bound to the
// TLS channel below it.
type scramExchange struct {
	*login
	hash scramHash
	plus bool

	begun                               bool
	binding                             []byte // what "c=" must be: the GS2 header and the channel's own bytes
	clientFirstBare, serverFirst, nonce []byte
	stored                              account.Keys
}

func (m *scramExchange) step(msg []byte) (bool, []byte, error) {
	if !m.begun {
		m.begun = true
		reply, err := m.first(msg)
		return err == nil, reply, err
	}
	reply, err := m.final(msg)
	return false, reply, err
}

// clientFirst is a client-first-message, taken apart.
type clientFirst struct {
	flag    string // n, y, or p=TYPE
	header  []byte // the GS2 header
	bare    []byte
	authzid string
	name    string
	nonce   []byte
}

// parseClientFirst takes apart gs2-cbind-flag "," [authzid] "," "n=" name ",r=" nonce [extensions].
func parseClientFirst(msg []byte) (f clientFirst, err error) {
	parts := bytes.SplitN(msg, []byte{','}, 3)
	if len(parts) != 3 {
		return f, errMalformed
	}
	f.flag, f.bare = string(parts[0]), parts[2]
	f.header = msg[:len(msg)-len(f.bare)]
	if f.flag != "n" && f.flag != "y" && (!strings.HasPrefix(f.flag, "p=") || len(f.flag) == 2) {
		return f, errMalformed
	}
	authzid, ok := strings.CutPrefix(string(parts[1]), "a=")
	if ok == (len(parts[1]) == 0) || ok && authzid == "" {
		return f, errMalformed
	}
	// A mandatory extension ("m=") would stand first: nobody here knows any.
	fields := bytes.Split(f.bare, []byte{','})
	if len(fields) < 2 || !bytes.HasPrefix(fields[0], []byte("n=")) || !bytes.HasPrefix(fields[1], []byte("r=")) {
		return f, errMalformed
	}
	f.nonce = fields[1][2:]
	if len(f.nonce) < minNonce || bytes.ContainsFunc(f.nonce, func(r rune) bool { return r < '!' || r > '~' }) {
		return f, errMalformed
	}
	name, ok := unescapeName(string(fields[0][2:]))
	if !ok || name == "" {
		return f, errMalformed
	}
	f.name = name
	if f.authzid, ok = unescapeName(authzid); !ok {
		return f, errMalformed
	}
	return f, nil
}

// first answers the client-first-message.
func (m *scramExchange) first(msg []byte) ([]byte, error) {
	f, err := parseClientFirst(msg)
	if err != nil {
		return nil, err
	}
	bound, err := m.bind(f.flag)
	if err != nil {
		return nil, err
	}
	if err := m.lookup(f.name, f.authzid); err != nil {
		return nil, err
	}
	m.stored = m.hash.keys(m.login)
	var random [serverNonce]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("%w: nonce: %w", errTemporary, err)
	}
	m.nonce = base64.RawURLEncoding.AppendEncode(bytes.Clone(f.nonce), random[:])
	m.binding = append(bytes.Clone(f.header), bound...)
	m.clientFirstBare = bytes.Clone(f.bare)
	out := append([]byte("r="), m.nonce...)
	out = base64.StdEncoding.AppendEncode(append(out, ",s="...), m.stored.Salt)
	m.serverFirst = strconv.AppendInt(append(out, ",i="...), int64(m.stored.Iterations), 10)
	return m.serverFirst, nil
}

// bind takes the client's channel binding flag and returns the bytes of the channel that it is to
// prove. "y" says that the client could bind but believes that the server can't: if the server has
// offered it, somebody in the middle has taken it from the list (RFC 5802 section 6).
func (m *scramExchange) bind(flag string) ([]byte, error) {
	name, wants := strings.CutPrefix(flag, "p=")
	switch {
	case m.plus != wants:
		return nil, errMalformed
	case flag == "y" && m.offersPlus() && !m.faults.IgnoreDowngrade:
		return nil, &saslError{condition: "not-authorized", text: "this server does support channel binding", binding: true}
	case !wants:
		return nil, nil
	}
	data, ok := m.channel.binding(name)
	if !ok {
		return nil, &saslError{condition: "not-authorized", text: "this channel has no binding of type " + name, binding: true}
	}
	return data, nil
}

// unescapeName undoes the saslname encoding of RFC 5802 section 5.1.
func unescapeName(s string) (string, bool) {
	if strings.Count(s, "=") != strings.Count(s, "=2C")+strings.Count(s, "=3D") {
		return "", false
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "=2C", ","), "=3D", "="), true
}

// clientFinal is a client-final-message, taken apart.
type clientFinal struct {
	withoutProof, binding, nonce, proof []byte
}

// parseClientFinal takes apart "c=" base64 ",r=" nonce [extensions] ",p=" base64.
func parseClientFinal(msg []byte) (f clientFinal, err error) {
	cut := bytes.LastIndex(msg, []byte(",p="))
	if cut < 0 {
		return f, errMalformed
	}
	f.withoutProof = msg[:cut]
	fields := bytes.Split(f.withoutProof, []byte{','})
	if len(fields) < 2 || !bytes.HasPrefix(fields[0], []byte("c=")) || !bytes.HasPrefix(fields[1], []byte("r=")) {
		return f, errMalformed
	}
	f.nonce = fields[1][2:]
	enc := base64.StdEncoding.Strict()
	if f.proof, err = enc.AppendDecode(nil, msg[cut+3:]); err != nil {
		return f, errMalformed
	}
	if f.binding, err = enc.AppendDecode(nil, fields[0][2:]); err != nil {
		return f, errMalformed
	}
	return f, nil
}

// final checks the client-final-message and returns the server's signature.
func (m *scramExchange) final(msg []byte) ([]byte, error) {
	f, err := parseClientFinal(msg)
	if err != nil {
		return nil, err
	}
	if err := m.try(); err != nil {
		return nil, err
	}
	if !hmac.Equal(f.binding, m.binding) && !m.faults.IgnoreBinding || !hmac.Equal(f.nonce, m.nonce) {
		return nil, errAuthn
	}
	auth := bytes.Join([][]byte{m.clientFirstBare, m.serverFirst, f.withoutProof}, []byte{','})
	key := m.mac(m.stored.StoredKey, auth)
	if len(f.proof) != len(key) {
		return nil, errAuthn
	}
	subtle.XORBytes(key, key, f.proof)
	stored := m.hash.new()
	stored.Write(key)
	// A decoy's keys fit no proof; the account's existence is checked last, in the same time.
	if !hmac.Equal(stored.Sum(nil), m.stored.StoredKey) || !m.exists {
		return nil, errAuthn
	}
	return base64.StdEncoding.AppendEncode([]byte("v="), m.mac(m.stored.ServerKey, auth)), nil
}

func (m *scramExchange) mac(key, msg []byte) []byte {
	h := hmac.New(m.hash.new, key)
	h.Write(msg)
	return h.Sum(nil)
}
