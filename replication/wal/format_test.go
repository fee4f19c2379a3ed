package wal

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

// TestFormat pins the bytes of format 1. Where it fails, either the change of
// the format was a mistake, or formatVersion must grow and both be readable.
func TestFormat(t *testing.T) {
	b := &Batch{
		Snapshots: []Snapshot{{Group: 2, Index: 300, Term: 1}},
		States:    []HardState{{Group: 0xFFFF_FFFF, Term: 2, Vote: 3, Commit: 4}},
		Entries:   []Entry{{Group: 2, Index: 301, Term: 2, Type: 1, Data: []byte("data")}, {Group: 3, Index: 1, Term: 1}},
	}
	rec := encodeBatch(make([]byte, recHeaderSize), b)
	putRecordHeader(rec, len(rec)-recHeaderSize, saltSum(0x0102030405060708), 5, 6)
	h := segHeader{store: testStore, number: 5, first: 6, salt: 0x0102030405060708, size: 16384}
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"record": {rec, "0dfd2e0ffe58aa331e00000001000000050000000000000006000000000000000102ac020101ffffffff0f0203040202ad02020104646174610301010000"},
		"header": {h.encode(), "52444257414c0d0ab538b0ba01000000010203040000000000000000000000000500000000000000060000000000000008070605040302010040000000000000"},
	} {
		if got := hex.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, tc.want)
		}
	}
	got, err := decodeBatch(rec[recHeaderSize:])
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("decoded %+v, %v", got, err)
	}
	for n := recHeaderSize; n < len(rec); n++ {
		if _, err := decodeBatch(bytes.Clone(rec[recHeaderSize:n])); err == nil {
			t.Errorf("payload cut to %d bytes was accepted", n-recHeaderSize)
		}
	}
}
