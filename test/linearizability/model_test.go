package linearizability

import (
	"errors"
	"testing"
	"time"

	"github.com/rosterdb/rosterdb/internal/op"
)

func write(call, ret int64, path, value string, cond op.Condition, res op.WriteResult) Operation {
	return Operation{
		Call: call, Return: ret, WriteResult: res,
		Write: &op.Write{Root: "r", Mutations: []op.Mutation{{Kind: op.Put, Path: path, Value: []byte(value), Cond: cond}}},
	}
}

func ok(rev uint64) op.WriteResult {
	return op.WriteResult{Code: op.OK, Revision: rev, Items: []op.Item{{Code: op.OK, Version: rev}}}
}

func read(call, ret int64, path string, rev, version uint64, value string) Operation {
	o := Operation{Call: call, Return: ret, Read: &op.Read{Kind: op.Get, Root: "r", Path: path}}
	o.ReadResult = op.ReadResult{Code: op.NotFound, Revision: rev}
	if version != 0 {
		o.ReadResult.Code = op.OK
		o.ReadResult.Objects = []op.Object{{Path: path, Version: version, Value: []byte(value)}}
	}
	return o
}

func unknown(o Operation) Operation {
	o.Unknown, o.WriteResult = true, op.WriteResult{}
	return o
}

func TestCheck(t *testing.T) {
	absent := op.Condition{Kind: op.Absent}
	refused := op.WriteResult{Code: op.Conflict, Revision: 1, Items: []op.Item{{Code: op.Conflict, Version: 1}}}
	for name, c := range map[string]struct {
		history []Operation
		legal   bool
	}{
		"one after the other":              {[]Operation{write(1, 2, "a", "x", op.Condition{}, ok(1)), read(3, 4, "a", 1, 1, "x")}, true},
		"stale read":                       {[]Operation{write(1, 2, "a", "x", op.Condition{}, ok(1)), read(3, 4, "a", 0, 0, "")}, false},
		"concurrent read of the old state": {[]Operation{write(1, 4, "a", "x", op.Condition{}, ok(1)), read(2, 3, "a", 0, 0, "")}, true},
		"lost write":                       {[]Operation{write(1, 2, "a", "x", op.Condition{}, ok(1)), write(3, 4, "b", "y", op.Condition{}, ok(1))}, false},
		"write applied twice":              {[]Operation{write(1, 2, "a", "x", op.Condition{}, ok(1)), read(3, 4, "a", 2, 2, "x")}, false},
		"unknown write seen":               {[]Operation{unknown(write(1, 0, "a", "x", op.Condition{}, ok(1))), read(3, 4, "a", 1, 1, "x")}, true},
		"unknown write not seen":           {[]Operation{unknown(write(1, 0, "a", "x", op.Condition{}, ok(1))), read(3, 4, "a", 0, 0, "")}, true},
		"unknown write seen, then gone": {[]Operation{
			unknown(write(1, 0, "a", "x", op.Condition{}, ok(1))), read(3, 4, "a", 1, 1, "x"), read(5, 6, "a", 0, 0, ""),
		}, false},
		"condition refused":               {[]Operation{write(1, 2, "a", "x", op.Condition{}, ok(1)), write(3, 4, "a", "y", absent, refused)}, true},
		"condition refused without cause": {[]Operation{write(1, 2, "b", "x", op.Condition{}, ok(1)), write(3, 4, "a", "y", absent, refused)}, false},
	} {
		err := Check(c.history, time.Second)
		if errors.Is(err, ErrUndecided) || (err == nil) != c.legal {
			t.Errorf("%s: legal is %v, Check says %v", name, c.legal, err)
		}
	}
}
