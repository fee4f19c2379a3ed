package c2s

import "testing"

func TestUnescapeName(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a=2Cb=3D": "a,b=", "=3D2C": "=2C", "": ""} {
		if got, ok := unescapeName(in); !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"=", "a=2c", "=3", "=="} {
		if got, ok := unescapeName(in); ok {
			t.Errorf("%q accepted as %q", in, got)
		}
	}
}
