package linearizability

import (
	"errors"
	"math"
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

func add(call, ret, delta int64, code op.Code, rev, version uint64, count int64) Operation {
	return Operation{
		Call: call, Return: ret, WriteResult: op.WriteResult{Code: code, Revision: rev, Items: []op.Item{{Code: code, Version: version, Count: count}}},
		Write: &op.Write{Root: "r", Mutations: []op.Mutation{{Kind: op.Add, Path: "n", Delta: delta}}},
	}
}

func notCounted(o Operation) Operation {
	o.WriteResult.Items[0].Code = op.Invalid
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
		"counted":                         {[]Operation{add(1, 2, 3, op.OK, 1, 1, 3), add(3, 4, -5, op.OK, 2, 2, -2), read(5, 6, "n", 2, 2, "-2")}, true},
		"counted at once":                 {[]Operation{add(1, 4, 3, op.OK, 2, 2, 5), add(2, 3, 2, op.OK, 1, 1, 2)}, true},
		"increment lost":                  {[]Operation{add(1, 2, 3, op.OK, 1, 1, 3), add(3, 4, 1, op.OK, 2, 2, 1)}, false},
		"increment counted twice":         {[]Operation{add(1, 2, 3, op.OK, 1, 1, 3), add(3, 4, 1, op.OK, 2, 2, 5)}, false},
		"increment applied twice":         {[]Operation{add(1, 2, 3, op.OK, 1, 1, 3), read(3, 4, "n", 2, 2, "6")}, false},
		"unknown increment seen":          {[]Operation{unknown(add(1, 0, 3, op.OK, 1, 1, 3)), add(3, 4, 1, op.OK, 2, 2, 4)}, true},
		"unknown increment not seen":      {[]Operation{unknown(add(1, 0, 3, op.OK, 1, 1, 3)), add(3, 4, 1, op.OK, 1, 1, 1)}, true},
		"added to what was put":           {[]Operation{write(1, 2, "n", "41", op.Condition{}, ok(1)), add(3, 4, 1, op.OK, 2, 2, 42)}, true},
		"added to no counter":             {[]Operation{write(1, 2, "n", "x", op.Condition{}, ok(1)), notCounted(add(3, 4, 1, op.Conflict, 1, 1, 0))}, true},
		"a counter taken for none":        {[]Operation{write(1, 2, "n", "4", op.Condition{}, ok(1)), notCounted(add(3, 4, 1, op.Conflict, 1, 1, 0))}, false},
		"sum beyond 64 bits":              {[]Operation{add(1, 2, math.MaxInt64, op.OK, 1, 1, math.MaxInt64), notCounted(add(3, 4, 1, op.Conflict, 1, 1, math.MaxInt64))}, true},
		"condition refused without cause": {[]Operation{write(1, 2, "b", "x", op.Condition{}, ok(1)), write(3, 4, "a", "y", absent, refused)}, false},
	} {
		err := Check(c.history, time.Second)
		if errors.Is(err, ErrUndecided) || (err == nil) != c.legal {
			t.Errorf("%s: legal is %v, Check says %v", name, c.legal, err)
		}
	}
}
