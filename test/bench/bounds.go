package main

import (
	"fmt"
)

// bound is a demand on a figure of ours alone.
type bound struct {
	what       string
	got, limit float64
	measured   bool
	least      bool // the limit is the least that will do; else it is the most
}

func (b *bound) missed() bool {
	if b.least {
		return b.got < b.limit
	}
	return b.got > b.limit
}

// hold prints bounds. One that was not measured is not judged, and says so; one that is missed is an error,
// except in a quick run.
func (b *bench) hold(bounds []bound) error {
	fmt.Printf("| gate | measured | limit | |\n| --- | --- | --- | --- |\n")
	missed := 0
	for _, x := range bounds {
		limit := "at most " + figure(x.limit)
		if x.least {
			limit = "at least " + figure(x.limit)
		}
		switch {
		case !x.measured:
			fmt.Printf("| %s | - | %s | not judged: not measured |\n", x.what, limit)
		case x.missed():
			missed++
			fmt.Printf("| %s | %s | %s | MISSED |\n", x.what, figure(x.got), limit)
		default:
			fmt.Printf("| %s | %s | %s | met |\n", x.what, figure(x.got), limit)
		}
	}
	return verdict(missed, b.o.quick)
}
