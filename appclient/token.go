package appclient

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
)

// Token says how far a watch has come, for WatchOptions.From: text that an
// application may keep anywhere. It fits only a watch of the same thing in the same
// cluster. With 271 partitions it has 1 to 5 KiB.
type Token string

// tokenVersion is that of a token's format: version, what is watched, count of
// partitions, then for each its flags, since and skip, as uvarints; CRC32C.
const tokenVersion = 1

// encodeToken writes cursors down.
func encodeToken(what uint64, cursors []*cursor) Token {
	b := []byte{tokenVersion}
	b = binary.BigEndian.AppendUint64(b, what)
	b = binary.AppendUvarint(b, uint64(len(cursors)))
	for _, c := range cursors {
		flag := byte(0)
		if c.byRevision {
			flag = 1
		}
		b = append(b, flag)
		b = binary.AppendUvarint(b, c.since)
		b = binary.AppendUvarint(b, c.skip)
	}
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	return Token(base64.RawURLEncoding.EncodeToString(b))
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// decode sets cursors to where the token says.
func (t Token) decode(what uint64, cursors []*cursor) error {
	b, err := base64.RawURLEncoding.DecodeString(string(t))
	const head = 1 + 8
	if err != nil || len(b) < head+5 || b[0] != tokenVersion {
		return fmt.Errorf("%w: that is no token of a watch", ErrInvalid)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if checksum(body) != sum {
		return fmt.Errorf("%w: the token of the watch is damaged", ErrInvalid)
	}
	if binary.BigEndian.Uint64(body[1:]) != what {
		return fmt.Errorf("%w: the token is of a watch of something else", ErrInvalid)
	}
	body = body[head:]
	broken := false
	next := func() uint64 {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			broken = true
			return 0
		}
		body = body[n:]
		return v
	}
	if next() != uint64(len(cursors)) {
		return fmt.Errorf("%w: the token is of a cluster with other partitions", ErrInvalid)
	}
	for _, c := range cursors {
		c.byRevision = next() == 1
		c.since, c.skip = next(), next()
	}
	if broken || len(body) > 0 {
		return fmt.Errorf("%w: the token of the watch is damaged", ErrInvalid)
	}
	return nil
}

// fingerprint names what is watched.
func (w *Watch) fingerprint() uint64 {
	e := w.c.engine
	e.mu.Lock()
	cluster := e.doc.Cluster
	e.mu.Unlock()
	return xxhash.Sum64String(fmt.Sprintf("%q %q %q %q", cluster, w.ask.Root, w.ask.Prefix, w.ask.Index))
}
