package notice

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLog: a line is written once a minute, and of different ones no more than are remembered, however many there are.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := Log{To: slog.New(slog.NewTextHandler(&b, nil))}
		lines := func() int { return strings.Count(b.String(), "\n") }
		for range 3 {
			for i := range 3 * kinds {
				l.Warn("refused", "peer", fmt.Sprint(i))
			}
		}
		if lines() != kinds {
			t.Errorf("%d lines within a minute, want %d", lines(), kinds)
		}
		time.Sleep(every)
		l.Warn("refused", "peer", "7")
		l.Warn("refused", "peer", "new")
		l.Warn("refused", "peer", "new")
		if lines() != kinds+2 {
			t.Errorf("%d lines behind a minute, want %d", lines(), kinds+2)
		}
	})
}
