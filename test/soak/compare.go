package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
)

// growth is a measure of a process in the middle and the last third of the time.
type growth struct {
	key
	before, after float64 // means
	highest       float64
}

// allowed is by how much the mean of a measure may rise: a tenth, since
// garbage and files come in steps, and something for what is small. What is told only may.
func (g growth) allowed() float64 {
	slack, judged := map[string]float64{live: 4, own: 16, disk: 64, descriptors: 8, goroutines: 16}[g.what]
	if !judged {
		return math.Inf(1)
	}
	return g.before*0.1 + slack
}

func (g growth) tooMuch() bool { return g.after-g.before > g.allowed() }

// compare needs three samples.
func compare(samples []sample) []growth {
	third := len(samples) / 3
	if third == 0 {
		return nil
	}
	var all []growth
	for k := range samples[0] {
		g := growth{key: k, before: mean(samples[third:2*third], k), after: mean(samples[2*third:], k)}
		for _, s := range samples {
			g.highest = max(g.highest, s[k])
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b growth) int {
		return cmp.Or(cmp.Compare(a.process, b.process), cmp.Compare(a.what, b.what))
	})
	return all
}

func mean(samples []sample, k key) (m float64) {
	for _, s := range samples {
		m += s[k] / float64(len(samples))
	}
	return m
}

func printTable(all []growth) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"process", "measure", "second third", "last third", "highest", "may grow by", ""})
	for _, g := range all {
		verdict := "ok"
		if g.tooMuch() {
			verdict = "GROWS"
		}
		t.AppendRow(table.Row{g.process, g.what, number(g.before), number(g.after), number(g.highest), number(g.allowed()), verdict})
	}
	fmt.Println(t.Render())
}

func number(f float64) string {
	if math.IsInf(f, 1) {
		return "any"
	}
	return fmt.Sprintf("%.1f", f)
}
