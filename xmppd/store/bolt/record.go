package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/rosterdb/rosterdb/xmppd/store"
)

// A value on disk: a version byte, the CRC-32C of key and body (big endian), the body. The key is
// part of it so that a value in the wrong place is damage.
const (
	recordVersion = 1
	recordHeader  = 5
)

func checksum(key, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, table), table, body)
}

func seal(key, body []byte) []byte {
	out := make([]byte, recordHeader, recordHeader+len(body))
	out[0] = recordVersion
	binary.BigEndian.PutUint32(out[1:], checksum(key, body))
	return append(out, body...)
}

// unseal returns the body of a value. The slice has no room behind it: the memory is the file's.
func unseal(key, value []byte) ([]byte, error) {
	switch {
	case len(value) < recordHeader:
		return nil, fmt.Errorf("%w: %d bytes", store.ErrCorrupt, len(value))
	case value[0] != recordVersion:
		return nil, fmt.Errorf("%w: record version %d, this program knows %d", store.ErrNewerFormat, value[0], recordVersion)
	}
	body := value[recordHeader:len(value):len(value)]
	if checksum(key, body) != binary.BigEndian.Uint32(value[1:]) {
		return nil, fmt.Errorf("%w: checksum mismatch", store.ErrCorrupt)
	}
	return body, nil
}
