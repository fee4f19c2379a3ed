package appclient_test

import (
	"fmt"
	"testing"

	"github.com/rosterdb/rosterdb/appclient"
)

// TestKeyText: a key within a match reads like the value that it is.
func TestKeyText(t *testing.T) {
	for want, k := range map[string]*appclient.Key{
		"null": appclient.NullKey(), "true": appclient.BoolKey(true), "3.5": appclient.NumberKey(3.5), "42": appclient.NumberKey(42),
		`"3.5"`: appclient.StringKey("3.5"), `"a\nb"`: appclient.StringKey("a\nb"),
	} {
		m := appclient.Match{Key: *k}
		if got := fmt.Sprintf("%v %v", m.Key, k); got != want+" "+want {
			t.Errorf("%s, want %s twice", got, want)
		}
	}
}
