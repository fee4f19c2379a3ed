package command

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseSize reads a number of bytes such as 1073741824, 512MiB or 1.5GiB; empty
// is 0.
func parseSize(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	number, unit := s, 1.0
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = n, math.Pow(1024, float64(i+1))
		}
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || f < 0 || f*unit >= math.MaxInt64 || math.IsNaN(f) {
		return 0, fmt.Errorf("%q is no size; write bytes, or a number with KiB, MiB, GiB or TiB", s)
	}
	return uint64(f * unit), nil
}
