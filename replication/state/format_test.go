package state

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestFormat pins the bytes of format 1 of commands and records, and 2 of snapshots.
// Where it fails, either the change was a mistake, or the version of that
// format must grow and both be readable.
func TestFormat(t *testing.T) {
	write := EncodeWrite(nil, 1000, &op.Write{Root: "root", Session: 1, Seq: 2, Floor: 1, Mutations: []op.Mutation{
		{Kind: op.Put, Path: "p", Value: []byte("v"), Refs: []op.Ref{{Root: "a", Path: "b"}}},
		{Kind: op.Delete, Path: "q", Cond: op.Condition{Kind: op.VersionIs, Version: 300}},
	}})
	key := appendKey(nil, "root", "p")
	o := object{version: 300, refs: appendRefs(nil, []op.Ref{{Root: "a", Path: "b"}}), value: []byte("v")}
	s := session{id: 1, owner: "app@example.org", used: 1000, floor: 1}
	s.record(result{seq: 2, code: op.Conflict, revision: 3, items: []op.Item{{Code: op.Conflict, Version: 300}}})
	p := testPart(t, testStore(t, Options{}), 3)
	p.Apply(1, 1, EncodeOpen(nil, 1000, "app@example.org"))
	p.Apply(2, 1, EncodeWrite(nil, 1000, &op.Write{Root: "root", Session: 1, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: "p", Value: []byte("v")}}}))
	snapshot := bytes.Join(framesOf(t, picture(t, p)), nil)
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"write":    {write, "0101e80701020104726f6f740201000170010161016201760203ac020171"},
		"open":     {EncodeOpen(nil, 1000, "app@example.org"), "0102e8070f617070406578616d706c652e6f7267"},
		"ring":     {EncodeRing(nil, 1000, 7, []byte("{}")), "0103e80707027b7d"},
		"object":   {seal(key, appendObject(make([]byte, 4), &o)), "bd726324ac0205010161016276"},
		"session":  {seal(sessionKey(1), s.append(make([]byte, 4))), "6429c25a0f617070406578616d706c652e6f7267e80701010203030103ac02"},
		"snapshot": {snapshot, "6c75b79c010203050201e8070000a755a20802010800000000000000011a0f617070406578616d706c652e6f7267e8070101010101010101c6be5a0f020204726f6f740101229e483b020306726f6f74007004010100762b87c8b00303"},
	} {
		if got := hex.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, tc.want)
		}
	}
}
