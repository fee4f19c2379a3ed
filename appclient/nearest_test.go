package appclient

import (
	"testing"
	"time"
)

// TestNearestPassesOverTheTarget: a replica that a change makes is asked by nobody
// who may ask any, however quick it would be.
func TestNearestPassesOverTheTarget(t *testing.T) {
	old, made := &node{online: true, rtt: time.Second}, &node{online: true}
	for row := 1; row <= 2; row++ {
		p := &partition{replicas: []*node{old, made}, row: row}
		asked := false
		for range 200 { // made is chosen three times in four where it may be
			asked = asked || p.nearest("", nil, 0) == made
		}
		if asked != (row == 2) {
			t.Errorf("%d of 2 replicas are in the table: the second is asked: %v", row, asked)
		}
	}
}
