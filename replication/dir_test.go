package replication

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestDirKeepsItsIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDir(path); !errors.Is(err, ErrLocked) {
		t.Errorf("second opener: %v; want ErrLocked", err)
	}
	store := d.Store()
	if err := d.join("cluster", 3); err != nil {
		t.Fatal(err)
	}
	if err := d.join("other", 3); !errors.Is(err, ErrForeignCluster) {
		t.Errorf("join another cluster: %v", err)
	}
	if err := d.join("cluster", 4); !errors.Is(err, ErrStranger) {
		t.Errorf("join as another member: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err = OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Store() != store || len(store) != 36 || d.Cluster() != "cluster" || d.Member() != 3 {
		t.Errorf("reopened: store %q, cluster %q, member %d", d.Store(), d.Cluster(), d.Member())
	}
}

func TestDirRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file, content string
		want          error
	}{
		"files of something else": {"photo.jpg", "", ErrForeignDir},
		"data without identity":   {stateFile, "", ErrForeignDir},
		"damaged identity":        {identityFile, "rosterdb identity 1 00000000\n{}", ErrDamaged},
		"foreign file":            {identityFile, "hello", ErrDamaged},
		"newer format":            {identityFile, "rosterdb identity 2 00000000\n{}", ErrNewerFormat},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := OpenDir(dir)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v; want %v", err, c.want)
			}
			if !strings.Contains(err.Error(), dir) {
				t.Errorf("the error does not name the directory: %v", err)
			}
		})
	}
}

func TestRingFile(t *testing.T) {
	dir := t.TempDir()
	if k, err := loadRing(dir); err != nil || k != nil {
		t.Fatalf("no file: %+v, %v", k, err)
	}
	doc := testDocument(3, 2, func(int) string { return uuid.NewString() })
	if err := saveRing(dir, doc); err != nil {
		t.Fatal(err)
	}
	if k, err := loadRing(dir); err != nil || k.Epoch != doc.Epoch || len(k.Table) != 2 {
		t.Fatalf("loaded %+v, %v", k, err)
	}
	path := filepath.Join(dir, ringFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 4
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadRing(dir); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerFormat) {
			t.Fatalf("a flipped bit in byte %d: %v", i, err)
		}
		b[i] ^= 4
	}
}
