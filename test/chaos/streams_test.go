package chaos

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/rosterdb/rosterdb/appclient"
)

// ofStreams: two writes of stream/0 are there.
func ofStreams(m *meter) (all []judgement) {
	type told []uint64
	of := func(name string, want count, before, after uint64, revisions told) *stream {
		s := newStream(appclient.WatchOptions{Prefix: streamPrefix}, streamPrefix, streamRoots)
		s.begun, s.within = true, 50*time.Millisecond
		s.before[s.roots[0]], s.after[s.roots[0]] = before, after
		for _, revision := range revisions {
			s.told(s.roots[0], revision)
		}
		all = append(all, book("stream/"+name, want, &streams{meter: m, each: []*stream{s}}))
		return s
	}
	of("told from the beginning", clean, 0, 0, told{1, 2})
	of("begun between two writes", clean, 1, 1, told{2})
	of("begun while it was written", clean, 0, 2, told{2})
	of("nothing to tell", clean, 2, 2, nil)
	of("left out", wrong, 0, 0, told{1, 3})
	of("told twice", wrong, 0, 0, told{1, 1, 2})
	of("the first left out", wrong, 0, 0, told{2})
	of("told what was before", wrong, 1, 1, told{1, 2})
	of("the newest not told", wrong, 0, 0, told{1})
	of("nothing told", wrong, 0, 0, nil)
	of("never begun", wrong, 0, 0, nil).begun = false
	return all
}

func ofPairs(m *meter) (all []judgement) {
	of := func(name string, want count, cause, effect, last uint64, value []byte) {
		all = append(all, judgement{"pair/" + name, want, func(_ context.Context, c *appclient.Client, v *Verdict) error {
			k, names := &pairs{meter: m}, pairRoots(c)
			var told []*appclient.Object
			for root, value := range map[string][]byte{
				names[0]: fmt.Append(nil, cause), names[1]: fmt.Append(nil, effect), names[2]: value, names[len(names)-1]: fmt.Append(nil, last),
			} {
				told = append(told, &appclient.Object{Root: root, Value: value})
			}
			k.check(told, names, 3)
			k.wrong.judge(v)
			return nil
		}})
	}
	of("as it is", clean, 3, 3, 3, large(1))
	of("between the writes", clean, 4, 3, 4, large(1))
	of("written while it was read", clean, 3, 3, 9, large(1))
	of("an effect without its cause", wrong, 3, 4, 4, large(1))
	of("a later page that is older", wrong, 4, 4, 3, large(1))
	of("too old", wrong, 2, 2, 3, large(1))
	of("two large values mixed", wrong, 3, 3, 3, append(large(1)[:largeBytes/2], large(2)[largeBytes/2:]...))
	of("a large value cut", wrong, 3, 3, 3, bytes.Clone(large(1)[:largeBytes/2]))
	return all
}

func ofClaims(m *meter) (all []judgement) {
	of := func(name string, want count, held int64, found *appclient.Object) {
		k := &claims{meter: m}
		if k.held.Store(held); held > 0 {
			k.check("1.1", 7, found)
		}
		all = append(all, book("claim/"+name, want, k))
	}
	of("as it is", clean, 1, &appclient.Object{Value: []byte("1.1"), Version: 7})
	of("gone", wrong, 1, nil)
	of("of another", wrong, 1, &appclient.Object{Value: []byte("2.1"), Version: 7})
	of("written again", wrong, 1, &appclient.Object{Value: []byte("1.1"), Version: 8})
	of("never had", wrong, 0, nil)
	return all
}

// ofTransfers: one transaction has been counted in transfer/0, and its accounts come to 0.
func ofTransfers(m *meter) (all []judgement) {
	of := func(name string, want count, done, vague int64) *transfers {
		k := &transfers{meter: m}
		k.each[0].note(applied, done)
		k.each[0].note(unknown, vague)
		all = append(all, book("transfer/"+name, want, k))
		return k
	}
	of("as it is", clean, 1, 0)
	of("of unknown outcome", clean, 0, 1)
	of("lost", lost, 2, 0)
	of("twice", twice, 0, 0)
	of("on its way", wrong, 1, 0).check(0, 5)
	return all
}
