package wire

import "github.com/rosterdb/rosterdb/internal/op"

// CodeName is the name of a code on the wire; that of a code that it does not
// know is the one of Unknown.
func CodeName(c op.Code) string { return codeName(c) }
