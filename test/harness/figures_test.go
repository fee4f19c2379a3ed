package harness

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestAllocated(t *testing.T) {
	dir := t.TempDir()
	if got := Allocated(filepath.Join(dir, "absent")); got != 0 {
		t.Errorf("what is not there takes %.0f bytes", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	one, all := Allocated(filepath.Join(dir, "a")), Allocated(dir)
	if one < 100_000 || all != one {
		t.Errorf("a file of 100,000 bytes takes %.0f, its directory's files %.0f", one, all)
	}
}

func TestMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# HELP a about\na 3\naa 5\nb 1.5e1\n")) // to a client that waits
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	if got := Metrics(t.Context(), addr, "a", "b", "absent"); got != 18 {
		t.Errorf("a and b are %v", got)
	}
	server.Close()
	if got := Metrics(t.Context(), addr, "a"); got != 0 {
		t.Errorf("a process that is gone tells %v", got)
	}
	if got := ProcMiB(os.Getpid(), "VmRSS:"); got < 1 {
		t.Errorf("this process has %v MiB", got)
	}
}
