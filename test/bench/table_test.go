package main

import "testing"

func TestMedian(t *testing.T) {
	runs, err := parse([]byte("noise\n{\"ops_s\":3,\"write\":{\"n\":0,\"p50_ms\":0}}\n{\"ops_s\":1}\n{\"ops_s\":2000.4}\n"))
	if err != nil || len(runs) != 3 {
		t.Fatalf("%v, %v", runs, err)
	}
	for field, want := range map[string]string{"ops_s": "3", "write.p50_ms": "-", "absent": "-"} {
		if got := median(runs, field); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
	if _, err := parse([]byte("{broken")); err == nil {
		t.Error("broken JSON was taken")
	}
}
