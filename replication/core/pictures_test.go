package core

import "testing"

// TestPictureHasItsTurn: where more groups want a picture than there is room for, one that was made is there until a
// follower could ask for it, and makes room afterwards.
func TestPictureHasItsTurn(t *testing.T) {
	for _, f := range []Faults{{}, {SnatchPictures: true}} {
		c := &Core{cfg: Config{Faults: f}, next: new(Round)}
		for i := range uint32(maxPictures) {
			g := &group{id: i, snap: outgoing{phase: snapReady, number: uint64(i), born: c.now}}
			c.pictured = append(c.pictured, g)
		}
		one, next := c.pictured[0], &group{id: maxPictures}
		c.makePicture(next)
		if kept := one.snap.phase == snapReady; kept == f.SnatchPictures {
			t.Errorf("with %+v a new picture is kept: %v", f, kept)
		}
		c.now += pictureTurn
		c.makePicture(next)
		if one.snap.phase != snapNone || next.snap.phase != snapMaking {
			t.Errorf("with %+v a picture that nobody wants keeps its place", f)
		}
	}
}
