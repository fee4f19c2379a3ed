package interop

import (
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// binary is the ringctl under test; TestMain builds it.
var binary string

func TestMain(m *testing.M) { harness.Main(m, &binary) }
