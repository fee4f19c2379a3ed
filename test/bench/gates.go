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
}

func gates() []gate {
	us := func(work string) string { return rowName(work, ours) }
	return []gate{
		{"messages per CPU second, saturated: 5 times ejabberd's", us(workChat), rowName(workChat, ejabberd), "server_cpu_us_each", 5},
		{"messages per CPU second at 1,000/s: 5 times ejabberd's", us(workPaced), rowName(workPaced, ejabberd), "server_cpu_us_each", 5},
		{"memory of an idle session: a third of Prosody's", us(workConnect), rowName(workConnect, prosody), "rss_per_session_kb", 3},
		{"memory of an idle session, TLS: a third of Prosody's", us(workConnectTLS), rowName(workConnectTLS, prosody), "rss_per_session_kb", 3},
		{"CPU of a SCRAM-SHA-256 login: less than ejabberd's by PLAIN", us(workLogin), rowName(workConnect, ejabberd), "server_cpu_us_each", 1},
	}
}

// judge prints the gates. A gate whose peer was not measured is not judged, and says so; one that
// is missed is an error, except in a quick run.
func (b *bench) judge(all *samples) error {
	fmt.Printf("| gate | ours | peer | ratio | |\n| --- | --- | --- | --- | --- |\n")
	missed := 0
	for _, g := range gates() {
		mine, okMine := middle(all.runs[g.ours], g.field)
		theirs, okTheirs := middle(all.runs[g.peer], g.field)
		switch {
		case !okMine || !okTheirs || mine <= 0:
			fmt.Printf("| %s | %s | %s | - | not judged: not measured |\n", g.what, figure(mine), figure(theirs))
		case mine*g.factor > theirs:
			missed++
			fmt.Printf("| %s | %s | %s | %.1f | MISSED |\n", g.what, figure(mine), figure(theirs), theirs/mine)
		default:
			fmt.Printf("| %s | %s | %s | %.1f | met |\n", g.what, figure(mine), figure(theirs), theirs/mine)
		}
	}
	switch {
	case missed == 0:
		return nil
	case b.o.quick:
		fmt.Fprintln(os.Stderr, "gates are missed; a quick run is too short to judge by")
		return nil
	}
	return errors.New("a gate is missed; the table above says which")
}
