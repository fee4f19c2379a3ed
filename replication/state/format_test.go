package state

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

// TestFormat pins the bytes of format 3 of commands, 1 of records and 2 of snapshots.
// Where it fails, either the change was a mistake, or the version of that
// format must grow and both be readable.
func TestFormat(t *testing.T) {
	write := EncodeWrite(nil, 1000, app, &op.Write{Root: "root", Session: 1, Seq: 2, Floor: 1, Mutations: []op.Mutation{
		{Kind: op.Put, Path: "p", Value: []byte("v"), Refs: []op.Ref{{Root: "a", Path: "b"}}},
		{Kind: op.Delete, Path: "q", Cond: op.Condition{Kind: op.VersionIs, Version: 300}},
	}})
	key := appendKey(nil, "root", "p")
	o := object{version: 300, refs: appendRefs(nil, []op.Ref{{Root: "a", Path: "b"}}), value: []byte("v")}
	s := session{id: 1, owner: "app@example.org", used: 1000, floor: 1}
	s.record(result{seq: 2, code: op.Conflict, revision: 3, items: []op.Item{{Code: op.Conflict, Version: 300}}})
	p := testPart(t, testStore(t, Options{}), 3)
	p.Apply(1, 1, EncodeOpen(nil, 1000, "app@example.org"))
	p.Apply(2, 1, EncodeWrite(nil, 1000, app, &op.Write{Root: "root", Session: 1, Seq: 1, Mutations: []op.Mutation{{Kind: op.Put, Path: "p", Value: []byte("v")}}}))
	snapshot := bytes.Join(framesOf(t, picture(t, p)), nil)
	for name, tc := range map[string]struct {
		got  []byte
		want string
	}{
		"write":  {write, "0301e807b14b27ffc76648350102010004726f6f740201000170010161016201760203ac020171"},
		"open":   {EncodeOpen(nil, 1000, "app@example.org"), "0302e8070f617070406578616d706c652e6f7267"},
		"ring":   {EncodeRing(nil, 1000, 7, []byte("{}")), "0303e80707027b7d"},
		"settle": {EncodeSettle(nil, 1000, app, op.Settle{Session: 1, Seq: 2}), "0304e807b14b27ffc76648350102"},
		"tick":   {EncodeTick(nil, 1000), "0305e807"},
		"mutations": {appendMutation(appendMutation(appendMutation(nil, &op.Mutation{Kind: op.Add, Path: "n", Delta: -3}), &op.Mutation{Kind: op.Put, TTL: 300}),
			&op.Mutation{Kind: op.Check, Path: "c", Cond: op.Condition{Kind: op.Absent}}), "0300016e05" + "810000ac020000" + "04010163"},
		"indexes":  {EncodeIndexes(nil, 1000, 7, []ring.Index{{Name: "n", ID: 3, Prefix: "p", Path: "*", Field: "a.b"}}), "0306e807070103016e0170012a03612e62"},
		"entry":    {[]byte((&index{Index: ring.Index{ID: 3}}).key(string(appendScalar(nil, &op.Scalar{Kind: op.Number, Number: -1.5})), key)), "0000000303400" + "7ffffffffffff" + "726f6f740070"},
		"expiring": {appendObject(nil, &object{version: 300, expires: 5, refs: noRefs, value: []byte("v")}), "ac020005010076"},
		"count":    {appendItem(nil, op.Item{Code: op.OK, Version: 300, Count: -2}), "81ac0203"},
		"object":   {seal(key, appendObject(make([]byte, 4), &o)), "bd726324ac0205010161016276"},
		"session":  {seal(sessionKey(1), s.append(make([]byte, 4))), "6429c25a0f617070406578616d706c652e6f7267e80701010203030103ac02"},
		"snapshot": {snapshot, "6c75b79c010203050201e8070000a755a20802010800000000000000011a0f617070406578616d706c652e6f7267e8070101010101010101c6be5a0f020204726f6f740101229e483b020306726f6f74007004010100763fe9517602050800000000000000020b0a0004726f6f7401010170440b183b020607686973746f72790600010200010bacfc63d80305"},
	} {
		if got := hex.EncodeToString(tc.got); got != tc.want {
			t.Errorf("%s is\n%s, want\n%s", name, got, tc.want)
		}
	}
}

// TestOlderCommands: logs may hold those of formats 1 and 2.
func TestOlderCommands(t *testing.T) {
	for _, cmds := range [][]string{
		{"0102e8070f617070406578616d706c652e6f7267", "0101e80701020104726f6f7402010001700101610162017602000171"},
		{"0202e8070f617070406578616d706c652e6f7267", "0201e807b14b27ffc76648350102010004726f6f7402010001700101610162017602000171"},
	} {
		olderCommands(t, cmds)
	}
}

func olderCommands(t *testing.T, cmds []string) {
	p := testPart(t, testStore(t, Options{}), 3)
	for i, cmd := range cmds {
		b, err := hex.DecodeString(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if r := p.Apply(uint64(i+1), 1, b); r.Code != op.OK {
			t.Fatalf("%+v", r)
		}
	}
	r := p.Read(&op.Read{Kind: op.Get, Root: "root", Path: "p"})
	if r.Code != op.OK || string(r.Objects[0].Value) != "v" || r.Objects[0].Refs[0] != (op.Ref{Root: "a", Path: "b"}) {
		t.Fatalf("%+v", r)
	}
}
