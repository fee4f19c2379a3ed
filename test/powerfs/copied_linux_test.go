package powerfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUnmountCopied: that a process has a copy of the mount, in a namespace of its own, keeps nobody from unmounting it. A file
// that is open does.
func TestUnmountCopied(t *testing.T) {
	if err := Supported(); err != nil {
		if os.Getenv("CHAOS_REQUIRED") == "1" {
			t.Fatalf("CHAOS_REQUIRED=1 asks for it: %v", err)
		}
		t.Skip(err)
	}
	d, path := New(t.TempDir(), 1<<20), t.TempDir()
	defer d.Close() //nolint:errcheck // nothing is read any more
	m, err := Mount(d, path)
	if err != nil {
		t.Fatal(err)
	}
	keeper := exec.CommandContext(t.Context(), "cat")
	keeper.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	in, err := keeper.StdinPipe()
	if err == nil {
		err = keeper.Start()
	}
	if err != nil {
		t.Fatalf("start a process with a mount namespace: %v", err)
	}
	f, err := os.Create(filepath.Join(path, "open"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Unmount(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("with a file open: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Unmount(); err != nil {
		t.Error(err)
	}
	_ = in.Close()
	if err := keeper.Wait(); err != nil {
		t.Error(err)
	}
}
