package state

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app stands for the account that owns the sessions of the tests.
var app = OwnerOf("app@example.org")
