package state

import (
	"encoding/hex"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
)

// TestFormat pins the bytes of format 1 of commands, records and snapshots.
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
	_, _, _, snapshot, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"write":    {write, "0101e80701020104726f6f740201000170010161016201760203ac020171"},
		"open":     {EncodeOpen(nil, 1000, "app@example.org"), "0102e8070f617070406578616d706c652e6f7267"},
		"ring":     {EncodeRing(nil, 1000, 7, []byte("{}")), "0103e80707027b7d"},
		"object":   {seal(key, appendObject(make([]byte, 4), &o)), "bd726324ac0205010161016276"},
		"session":  {seal(sessionKey(1), s.append(make([]byte, 4))), "6429c25a0f617070406578616d706c652e6f7267e80701010203030103ac02"},
		"snapshot": {snapshot, "524442534e41500a010000000f0000009103dca501030201e807000a0000001b82d01202002c0000003d7fdac0032200000000000000010f617070406578616d706c652e6f7267e80701010101010101010f0000004b16c2900404726f6f7401150000009e14f9120506726f6f74007004010100760c00000090c25a9406010101"},
	} {
		if got := hex.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, tc.want)
		}
	}
}
