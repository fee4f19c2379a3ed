package demo

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Report is the result. Its JSON is a contract with scripts: the last line of
// `ringctl demo --smoke -o json`.
type Report struct {
	OK bool `json:"ok"` // everything below held
	// Nodes is the number of data nodes started, the killed one included.
	Nodes int `json:"nodes"`
	// Objects were loaded and read back with equal bytes.
	Objects int `json:"objects"`
	// Acknowledged writes: the objects loaded, and the writes of the stream.
	Acknowledged int `json:"acknowledged"`
	// Lost are acknowledged writes that are missing or hold other bytes.
	Lost int `json:"lost"`
	// Errors are operations of the stream that did not end with an acknowledgement.
	Errors int `json:"errors"`
	// WritesPerS are single-object writes of the stream, the kill included.
	WritesPerS float64 `json:"writes_per_s"`
	ReadsPerS  float64 `json:"reads_per_s"` // objects read back, each with one Get
	// LongestGapMS is the longest time that any writer waited from one
	// acknowledgement to its next, the kill included.
	LongestGapMS float64 `json:"longest_gap_ms"`
	// Problems says what did not hold.
	Problems []string `json:"problems,omitempty"`

	rows [][2]string
}

func (r *Report) row(what, format string, args ...any) {
	r.rows = append(r.rows, [2]string{what, fmt.Sprintf(format, args...)})
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// print shows what was measured.
func (r *Report) print(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.SetTitle("measured on this machine")
	for _, row := range r.rows {
		t.AppendRow(table.Row{row[0], row[1]})
	}
	t.Render()
	for _, p := range r.Problems {
		fmt.Fprintln(w, "DID NOT HOLD:", p)
	}
}

func perSecond(n int, d time.Duration) float64 {
	return round(float64(n) / max(d.Seconds(), 1e-9))
}

func millis(d time.Duration) float64 { return round(float64(d.Microseconds()) / 1000) }

// round keeps one decimal: more is not measured.
func round(f float64) float64 { return math.Round(f*10) / 10 }
