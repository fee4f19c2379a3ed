package account

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// A record on disk is one version byte, the CRC-32C of the rest (big endian), and JSON.
const (
	recordVersion = 1
	recordHeader  = 5
)

func encodeRecord(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	out := make([]byte, recordHeader, recordHeader+len(body))
	out[0] = recordVersion
	binary.BigEndian.PutUint32(out[1:], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, body...), nil
}

func decodeRecord(b []byte, v any) error {
	if len(b) < recordHeader {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, len(b))
	}
	if b[0] != recordVersion {
		return fmt.Errorf("%w: record version %d, this program knows %d", ErrNewerFormat, b[0], recordVersion)
	}
	body := b[recordHeader:]
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(b[1:]) {
		return fmt.Errorf("%w: checksum mismatch", ErrCorrupt)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}
