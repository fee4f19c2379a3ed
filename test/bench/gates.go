package main

import (
	"errors"
	"fmt"
	"os"
)

// gate is a demand on a figure of ours beside one of a peer's.
type gate struct {
	what       string
	ours, peer string // rows
	field      string
	factor     float64 // ours times factor has to be at most the peer's
	more       bool    // instead: ours has to be larger than the peer's
}

func gates() []gate {
	us := func(work string) string { return rowName(work, ours) }
	return []gate{
		{what: "messages per CPU second, saturated: 5 times ejabberd's", ours: us(workChat), peer: rowName(workChat, ejabberd), field: "server_cpu_us_each", factor: 5},
		{what: "messages per CPU second at 1,000/s: 5 times ejabberd's", ours: us(workPaced), peer: rowName(workPaced, ejabberd), field: "server_cpu_us_each", factor: 5},
		{what: "memory of an idle session: a third of Prosody's", ours: us(workConnect), peer: rowName(workConnect, prosody), field: "rss_per_session_kb", factor: 3},
		{what: "memory of an idle session, TLS: a third of Prosody's", ours: us(workConnectTLS), peer: rowName(workConnectTLS, prosody), field: "rss_per_session_kb", factor: 3},
		{what: "CPU of a SCRAM-SHA-256 login: less than ejabberd's by PLAIN", ours: us(workLogin), peer: rowName(workConnect, ejabberd), field: "server_cpu_us_each", factor: 1},
	}
}

func (g *gate) missed(mine, theirs float64) bool {
	if g.more {
		return mine <= theirs
	}
	return mine*g.factor > theirs
}

// ratio is how many times better ours is.
func (g *gate) ratio(mine, theirs float64) float64 {
	if g.more {
		return mine / theirs
	}
	return theirs / mine
}

// judge prints the gates. A gate whose peer was not measured is not judged, and says so; one that
// is missed is an error, except in a quick run.
func (b *bench) judge(gates []gate, all *samples) error {
	fmt.Printf("| gate | ours | peer | ratio | |\n| --- | --- | --- | --- | --- |\n")
	missed := 0
	for _, g := range gates {
		mine, okMine := middle(all.runs[g.ours], g.field)
		theirs, okTheirs := middle(all.runs[g.peer], g.field)
		switch {
		case !okMine || !okTheirs || mine <= 0:
			fmt.Printf("| %s | %s | %s | - | not judged: not measured |\n", g.what, figure(mine), figure(theirs))
		case g.missed(mine, theirs):
			missed++
			fmt.Printf("| %s | %s | %s | %.1f | MISSED |\n", g.what, figure(mine), figure(theirs), g.ratio(mine, theirs))
		default:
			fmt.Printf("| %s | %s | %s | %.1f | met |\n", g.what, figure(mine), figure(theirs), g.ratio(mine, theirs))
		}
	}
	return verdict(missed, b.o.quick)
}

// verdict is an error where gates are missed, unless the run was too short to judge by.
func verdict(missed int, quick bool) error {
	switch {
	case missed == 0:
		return nil
	case quick:
		fmt.Fprintln(os.Stderr, "gates are missed; a quick run is too short to judge by")
		return nil
	}
	return errors.New("a gate is missed; the table above says which")
}
