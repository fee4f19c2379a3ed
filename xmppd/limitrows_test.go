package xmppd_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

// TestEveryLimitHasARow: each key of [limits] has a row in mission X9, which shows from outside that
// it bites and that its metric counts.
func TestEveryLimitHasARow(t *testing.T) {
	rows, err := os.ReadFile("../test/mission/x9_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[xmppd.LimitsConfig]()) {
		key := f.Tag.Get("toml")
		if !strings.Contains(string(rows), "\t{\""+key+"\", \"") {
			t.Errorf("limits.%s has no row in test/mission/x9_test.go", key)
		}
	}
}
