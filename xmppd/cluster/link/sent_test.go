package link

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"
)

// TestTimesOfWhatComesBack: what was written comes back later than what was not, with times that tell that it was sent before,
// all before the pair ended.
func TestTimesOfWhatComesBack(t *testing.T) {
	m := New(Config{Name: "a", Log: slog.New(slog.DiscardHandler)})
	type frame struct {
		what string
		sent time.Time
	}
	var back []frame
	m.Handle(kept, Handler{Undelivered: func(_ string, b []byte, sent time.Time, _ bool) { back = append(back, frame{string(b), sent}) }})
	p := newPeer(m, "b")
	p.q.start()
	put := func(list ...string) {
		for _, s := range list {
			if err := p.q.put(kept, false, 1<<20, len(s), []byte(s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := &outgoing{stream: 7, incarnation: 8, room: make(chan struct{}, 1)}
	put("0", "1")
	out.note(p.q.take())
	put("2", "3")
	out.note(p.q.take())
	put("4", "5")
	begin := time.Now()
	p.down(out, &incoming{hello: new(hello)}, errors.New("cut"))
	if len(back) != 2 || back[0].what != "4" {
		t.Fatalf("came back at once: %v", back)
	}
	p.answered(&outgoing{incarnation: 8, asked: 7, before: 1})
	slices.SortFunc(back, func(x, y frame) int { return x.sent.Compare(y.sent) })
	order := ""
	for i, f := range back {
		order += f.what
		if i > 0 && f.sent.Sub(back[i-1].sent) < apart || time.Since(f.sent) < 0 || begin.Sub(f.sent) > time.Minute {
			t.Errorf("%s was sent at %s, the one before at %s", f.what, f.sent, back[max(i-1, 0)].sent)
		}
	}
	if order != "12345" {
		t.Errorf("sent in the order %s", order)
	}
}
