package c2s

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestNotices: of each kind there is one line a minute, and the next one tells how many there were.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		n := notices{log: slog.New(slog.NewTextHandler(&b, nil))}
		for range 5 {
			n.tell("first")
			n.tell("second")
		}
		if got := b.String(); strings.Count(got, "first") != 1 || strings.Count(got, "second") != 1 {
			t.Error(got)
		}
		b.Reset()
		time.Sleep(noticeEvery)
		n.tell("first")
		if got := b.String(); !strings.Contains(got, "more_since_last=4") {
			t.Error(got)
		}
		b.Reset()
		time.Sleep(noticeEvery)
		n.tell("first")
		if got := b.String(); strings.Contains(got, "more") {
			t.Error(got)
		}
	})
}
