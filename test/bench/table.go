package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

// sample is one JSON line of a ruler.
type sample map[string]any

func parse(out []byte) ([]sample, error) {
	var all []sample
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		if !bytes.HasPrefix(sc.Bytes(), []byte("{")) {
			continue
		}
		var s sample
		if err := json.Unmarshal(sc.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("%q is not the JSON of a ruler: %w", sc.Text(), err)
		}
		all = append(all, s)
	}
	return all, nil
}

// number returns a figure; a dot leads into an object.
func (s sample) number(field string) (float64, bool) {
	outer, inner, nested := strings.Cut(field, ".")
	if nested {
		m, _ := s[outer].(map[string]any)
		if n, _ := m["n"].(float64); n == 0 {
			return 0, false // nothing of this kind was done
		}
		v, ok := m[inner].(float64)
		return v, ok
	}
	v, ok := s[outer].(float64)
	return v, ok
}

// title names a run of kvload.
func (s sample) title() string {
	return title(fmt.Sprint(s["preset"]), fmt.Sprint(s["value_size"]), fmt.Sprint(s["clients"]))
}

func title(preset, size, clients string) string {
	loads := map[string]string{"W": "writes", "B": "95% reads", "C": "reads"}
	return fmt.Sprintf("%s, %s B, %s clients", loads[preset], size, clients)
}

// samples groups runs by name, in the order of their first.
type samples struct {
	names []string
	runs  map[string][]sample
}

func (a *samples) add(name string, runs []sample) {
	if a.runs == nil {
		a.runs = make(map[string][]sample)
	}
	if _, known := a.runs[name]; !known {
		a.names = append(a.names, name)
	}
	a.runs[name] = append(a.runs[name], runs...)
}

// sort brings the rows of the same work together, in the order of their first.
func (a *samples) sort() {
	place := make(map[string]int)
	for _, n := range a.names {
		work, _, _ := strings.Cut(n, " | ")
		if _, known := place[work]; !known {
			place[work] = len(place)
		}
	}
	slices.SortStableFunc(a.names, func(x, y string) int {
		wx, _, _ := strings.Cut(x, " | ")
		wy, _, _ := strings.Cut(y, " | ")
		return place[wx] - place[wy]
	})
}

type column struct{ title, field string }

// print shows medians as a Markdown table.
func (a *samples) print(columns []column) error {
	t := table.NewWriter()
	header := table.Row{"work"}
	for _, c := range columns {
		header = append(header, c.title)
	}
	t.AppendHeader(header)
	for _, name := range a.names {
		row := table.Row{name}
		for _, c := range columns {
			row = append(row, median(a.runs[name], c.field))
		}
		t.AppendRow(row)
	}
	_, err := fmt.Fprintln(os.Stdout, t.RenderMarkdown())
	return err
}

// rename copies a figure to another field, in another unit.
func (s sample) rename(from, to string, factor float64) {
	if v, ok := s.number(from); ok {
		s[to] = v * factor
	}
}

// middle is the median of a field over the runs that have it.
func middle(runs []sample, field string) (float64, bool) {
	var v []float64
	for _, r := range runs {
		if n, ok := r.number(field); ok {
			v = append(v, n)
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	return v[len(v)/2], true
}

func median(runs []sample, field string) string {
	m, ok := middle(runs, field)
	if !ok {
		return "-"
	}
	return figure(m)
}

func figure(m float64) string {
	switch {
	case m == float64(int64(m)) || m >= 1000:
		return fmt.Sprintf("%.0f", m)
	case m >= 10:
		return fmt.Sprintf("%.1f", m)
	}
	return fmt.Sprintf("%.3f", m)
}
