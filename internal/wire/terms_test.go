package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTerms(t *testing.T) {
	numbers := []uint64{5, 0, 1<<64 - 1}
	el := AppendTerms(nil, 2, numbers)
	if most := len(AppendTerms(nil, 2, nil)) + len(numbers)*TermSize; len(el) > most {
		t.Errorf("%d bytes, at most %d were said", len(el), most)
	}
	member, got, err := ParseTerms(el, []uint64{9})
	if err != nil || member != 2 || !slices.Equal(got, []uint64{9, 5, 0, 1<<64 - 1}) {
		t.Errorf("%d %v, %v", member, got, err)
	}
	for _, bad := range []string{
		"<terms xmlns='" + NS + "'>1</terms>",
		"<terms xmlns='" + NS + "' member='1'>1 -2</terms>",
		"<terms xmlns='" + NS + "' member='1'>18446744073709551616</terms>",
		"<terms xmlns='other' member='1'>1</terms>",
		"<terms xmlns='" + NS + "' member='1'>" + strings.Repeat("1 ", MaxTerms) + "1</terms>",
	} {
		if _, _, err := ParseTerms([]byte(bad), nil); !errors.Is(err, ErrPayload) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}
