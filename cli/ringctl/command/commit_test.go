package command

import (
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/ring"
)

// TestCommitOfWhatRuns: a commit of a plan that is running says so, and does not
// leave a rate unheeded without a word.
func TestCommitOfWhatRuns(t *testing.T) {
	running := ring.Change{ID: "join-e1-3f09ab", Rate: 5}
	paused, canceled := running, running
	paused.Paused, canceled.Canceled = true, true
	for _, c := range []struct {
		name   string
		change *ring.Change
		rate   int64
		runs   bool
		want   string // of the error, or of what is printed
	}{
		{"no change", nil, 7, false, ""},
		{"another's", &ring.Change{ID: "leave-e1-3f09ab"}, 7, false, ""},
		{"running", &running, 0, true, "is running already, ring epoch 8; watch"},
		{"the rate that it has", &running, 5, true, "is running already"},
		{"another rate", &running, 7, true, "`ringctl throttle`"},
		{"paused", &paused, 0, true, "is paused; `ringctl resume`"},
		{"paused, another rate", &paused, 7, true, "paused; `ringctl resume` lets it go on; --rate is not taken"},
		{"canceled", &canceled, 0, true, "plan again when that is done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := &ring.Document{Epoch: 8, Change: c.change}
			runs, err := runsAlready(doc, running.ID, c.rate)
			if refused := runs && (c.rate != 0 && c.rate != c.change.Rate || c.change.Canceled); runs != c.runs || (err != nil) != refused {
				t.Fatalf("runs %v, %v", runs, err)
			}
			if !runs {
				return
			}
			text := begunText(doc, true)
			if err != nil {
				text = err.Error()
			}
			if !strings.Contains(text, c.want) {
				t.Errorf("%s, want %q", text, c.want)
			}
		})
	}
	if text := begunText(&ring.Document{Epoch: 8, Change: &running}, false); !strings.Contains(text, "has begun") {
		t.Error(text)
	}
}
