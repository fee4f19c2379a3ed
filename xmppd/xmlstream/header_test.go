package xmlstream

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd/module"
)

// FuzzHeader: framing a header gives the same result however the bytes come, never reads past the
// end of the tag, and what it accepts either parses or is refused with a stream error.
func FuzzHeader(f *testing.F) {
	for _, seed := range []string{
		"<?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'><x/>",
		" \n<stream:stream xmlns:stream=\"http://etherx.jabber.org/streams\" to='>'>", "<?xml version='1.0' encoding='latin1'?><a>",
		"<!DOCTYPE x>", "<?xm", "<?php ?>", "<", "x", "<?xml ?><?xml ?><a>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := frameHeader(b)
		if n < 0 || n > len(b) || n > 0 && b[n-1] != '>' {
			t.Fatalf("frame of %d bytes in %q", n, b)
		}
		for i := range b {
			if k, partErr := frameHeader(b[:i]); k != 0 && k != n || partErr != nil && err == nil && n > 0 && i >= n {
				t.Fatalf("%q: %d, %v; all of it: %d, %v", b[:i], k, partErr, n, err)
			}
		}
		if n == 0 {
			return
		}
		var se *module.StreamError
		if _, err := ParseHeader(b[:n]); err != nil && !errors.As(err, &se) {
			t.Fatalf("%q: %v is no stream error", b[:n], err)
		} else if err == nil && !bytes.Contains(b, []byte(NS)) {
			t.Fatalf("%q accepted without the namespace", b[:n])
		}
	})
}
