package throttle

import (
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	const rate, most = 100, 2 * time.Second
	l, now := NewLine(rate), time.Unix(1e9, 0)
	atOnce, waiting, refused := 0, 0, 0
	var last time.Duration
	for range 1000 {
		wait, ok := l.Join(now, most)
		switch {
		case !ok:
			refused++
		case wait == 0:
			atOnce++
		default:
			waiting++
			if wait < last {
				t.Fatalf("one waits %v behind one who waits %v", wait, last)
			}
			last = wait
		}
	}
	if atOnce != rate || waiting != 2*rate || refused != 1000-3*rate || last != most {
		t.Errorf("%d at once, %d wait up to %v, %d refused", atOnce, waiting, last, refused)
	}
	now = now.Add(most)
	if wait, ok := l.Join(now, most); !ok || wait != time.Second/rate {
		t.Errorf("when all have gone one waits %v, %v", wait, ok)
	}
	l.SetRate(10)
	if wait, ok := l.Join(now.Add(time.Minute), most); !ok || wait != 0 {
		t.Errorf("behind a pause one waits %v, %v", wait, ok)
	}
}
