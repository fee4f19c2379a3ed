package handover

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// FuzzStanzas: what is read is written alike, and nothing is read past the end.
func FuzzStanzas(f *testing.F) {
	f.Add(appendSized(appendSized(head(kindStanzas, 7), []byte("<a/>")), nil))
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0x0f, 1})
	f.Fuzz(func(t *testing.T, frame []byte) {
		k, number, rest, err := cutHead(frame)
		if err != nil {
			return
		}
		list, err := cutStanzas(rest)
		if err != nil {
			return
		}
		again := head(k, number)
		for _, raw := range list {
			again = appendSized(again, raw)
		}
		k2, number2, rest2, err := cutHead(again)
		list2, err2 := cutStanzas(rest2)
		if err != nil || err2 != nil || k2 != k || number2 != number || len(list2) != len(list) {
			t.Fatalf("%q, then %q", list, list2)
		}
		for i := range list {
			if !bytes.Equal(list[i], list2[i]) {
				t.Errorf("%q, then %q", list[i], list2[i])
			}
		}
	})
}
