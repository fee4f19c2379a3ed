package exchange

import (
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"github.com/rosterdb/rosterdb/xmppd/im"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// FuzzOp: what is read is written alike.
func FuzzOp(f *testing.F) {
	f.Add(appendOp(nil, &im.Op{Kind: im.OpCast, List: []string{"a@d", "b@d"}, Raw: []byte("<presence/>")}))
	f.Add(appendOp(nil, &im.Op{Kind: im.OpPush, A: "a@d", B: "7", Raw: []byte("<item/>")}))
	f.Add([]byte{1, 0, 0, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		op, ok := cutOp(b)
		if !ok {
			return
		}
		again, ok := cutOp(appendOp(nil, &op))
		if !ok || !reflect.DeepEqual(again, op) {
			t.Errorf("%+v, then %+v", op, again)
		}
	})
}

// FuzzStanza: the same of frames with stanzas.
func FuzzStanza(f *testing.F) {
	f.Add(append(appendHead(nil, kindRoute, 1, "a@d/r"), "<message/>"...))
	f.Add([]byte{2, 0, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, s, err := cut(b)
		if err != nil {
			return
		}
		k2, s2, err := cut(append(appendHead(nil, kind, s.hops, s.to), s.raw...))
		if err != nil || k2 != kind || !reflect.DeepEqual(s2, s) {
			t.Errorf("%d %+v, then %d %+v, %v", kind, s, k2, s2, err)
		}
	})
}
