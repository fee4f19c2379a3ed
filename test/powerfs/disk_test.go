package powerfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func newDisk(t testing.TB) *Disk {
	d := New(t.TempDir(), 1<<20)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func create(t testing.TB, d *Disk, name string) uint64 {
	t.Helper()
	e, err := d.Create(d.Root(), name, false, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return e.Node
}

func write(t testing.TB, d *Disk, id uint64, off int64, text string) {
	t.Helper()
	if _, err := d.WriteAt(id, []byte(text), off); err != nil {
		t.Fatal(err)
	}
}

func persist(t testing.TB, d *Disk, ids ...uint64) {
	t.Helper()
	for _, id := range ids {
		if err := d.Sync(id); err != nil {
			t.Fatal(err)
		}
	}
}

func content(t testing.TB, d *Disk, name string) (string, bool) {
	t.Helper()
	e, err := d.Lookup(d.Root(), name)
	if errors.Is(err, syscall.ENOENT) {
		return "", false
	}
	p := make([]byte, e.Size)
	if _, err := d.ReadAt(e.Node, p, 0); err != nil {
		t.Fatal(err)
	}
	return string(p), true
}

// TestLose has a row for each thing that needs a sync.
func TestLose(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, d *Disk, f uint64) // f is "f", durable with "old"
		want map[string]string
	}{
		{"nothing done", func(*testing.T, *Disk, uint64) {}, map[string]string{"f": "old"}},
		{"written", func(t *testing.T, d *Disk, f uint64) { write(t, d, f, 0, "new!") }, map[string]string{"f": "old"}},
		{"written and synced", func(t *testing.T, d *Disk, f uint64) { write(t, d, f, 0, "new!"); persist(t, d, f) }, map[string]string{"f": "new!"}},
		{"truncated", func(t *testing.T, d *Disk, f uint64) { _ = d.Truncate(f, 1) }, map[string]string{"f": "old"}},
		{"truncated and synced", func(t *testing.T, d *Disk, f uint64) { _ = d.Truncate(f, 1); persist(t, d, f) }, map[string]string{"f": "o"}},
		{"truncated and grown", func(t *testing.T, d *Disk, f uint64) {
			_ = d.Truncate(f, 1)
			_ = d.Truncate(f, 3)
			persist(t, d, f)
		}, map[string]string{"f": "o\x00\x00"}},
		{"allocated", func(t *testing.T, d *Disk, f uint64) { _ = d.Allocate(f, 9) }, map[string]string{"f": "old"}},
		{"created", func(t *testing.T, d *Disk, _ uint64) {
			g := create(t, d, "g")
			write(t, d, g, 0, "x")
			persist(t, d, g)
		}, map[string]string{"f": "old"}},
		{"created, and only the name is synced", func(t *testing.T, d *Disk, _ uint64) {
			write(t, d, create(t, d, "g"), 0, "x")
			persist(t, d, d.Root())
		}, map[string]string{"f": "old", "g": ""}},
		{"created and synced", func(t *testing.T, d *Disk, _ uint64) {
			g := create(t, d, "g")
			write(t, d, g, 0, "x")
			persist(t, d, g, d.Root())
		}, map[string]string{"f": "old", "g": "x"}},
		{"removed", func(t *testing.T, d *Disk, _ uint64) { _ = d.Remove(d.Root(), "f") }, map[string]string{"f": "old"}},
		{"removed and synced", func(t *testing.T, d *Disk, _ uint64) { _ = d.Remove(d.Root(), "f"); persist(t, d, d.Root()) }, map[string]string{}},
		{"replaced", func(t *testing.T, d *Disk, _ uint64) {
			g := create(t, d, "g")
			write(t, d, g, 0, "x")
			persist(t, d, g)
			_ = d.Rename(d.Root(), "g", d.Root(), "f")
		}, map[string]string{"f": "old"}},
		{"replaced and synced", func(t *testing.T, d *Disk, _ uint64) {
			g := create(t, d, "g")
			write(t, d, g, 0, "x")
			persist(t, d, g)
			_ = d.Rename(d.Root(), "g", d.Root(), "f")
			persist(t, d, d.Root())
		}, map[string]string{"f": "x"}},
		{"synced too late", func(t *testing.T, d *Disk, f uint64) {
			write(t, d, f, 0, "new!")
			d.PowerOff()
			if err := d.Sync(f); !errors.Is(err, syscall.EIO) {
				t.Errorf("sync without power: %v", err)
			}
		}, map[string]string{"f": "old"}},
		{"lied to", func(t *testing.T, d *Disk, f uint64) {
			d.SetLying(true)
			write(t, d, f, 0, "new!")
			persist(t, d, f)
		}, map[string]string{"f": "old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk(t)
			f := create(t, d, "f")
			write(t, d, f, 0, "old")
			persist(t, d, f, d.Root())
			c.do(t, d, f)
			for range 2 { // a second loss changes nothing
				if err := d.Cut(Lose, 1); err != nil {
					t.Fatal(err)
				}
				list, err := d.List(d.Root())
				if err != nil || len(list) != len(c.want) {
					t.Fatalf("%v, %v; want %q", list, err, c.want)
				}
				for name, want := range c.want {
					if got, ok := content(t, d, name); !ok || got != want {
						t.Errorf("%s has %q, %v; want %q", name, got, ok, want)
					}
				}
			}
		})
	}
}

// TestScatter: each sector is the old one or the new one, and not all share a fate.
func TestScatter(t *testing.T) {
	old, fresh := bytes.Repeat([]byte("o"), 8*sectorSize), bytes.Repeat([]byte("n"), 8*sectorSize)
	mixed := false
	for seed := range uint64(20) {
		d := newDisk(t)
		f := create(t, d, "f")
		write(t, d, f, 0, string(old))
		persist(t, d, f, d.Root())
		write(t, d, f, 0, string(fresh))
		if err := d.Cut(Scatter, seed); err != nil {
			t.Fatal(err)
		}
		got, _ := content(t, d, "f")
		for at := 0; at < len(got); at += sectorSize {
			if s := got[at : at+sectorSize]; s != string(old[:sectorSize]) && s != string(fresh[:sectorSize]) {
				t.Fatalf("seed %d: sector at %d is neither old nor new", seed, at)
			}
		}
		mixed = mixed || got != string(old) && got != string(fresh)
	}
	if !mixed {
		t.Error("no write was torn")
	}
}

// TestFull: what needs room is refused, everything else works.
func TestFull(t *testing.T) {
	d := newDisk(t)
	f := create(t, d, "f")
	write(t, d, f, 0, "abc")
	d.SetFull(true)
	if _, err := d.WriteAt(f, []byte("x"), 3); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("growing: %v", err)
	}
	write(t, d, f, 0, "xyz")
	persist(t, d, f)
	d.SetFull(false)
	if err := d.Truncate(f, 1<<20+1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("beyond the capacity: %v", err)
	}
	if _, free := d.Space(); free != 1<<20-3 {
		t.Errorf("%d bytes free", free)
	}
}

// TestAgainstMemory: without cuts it is a file like any; with them, what was
// synced last is there.
func TestAgainstMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDisk(t)
		f := create(t, d, "f")
		persist(t, d, d.Root())
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		var live, durable []byte
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			at, n := rng.IntN(3*pageSize), rng.IntN(2*pageSize)
			switch rng.IntN(6) {
			case 0, 1:
				p := bytes.Repeat([]byte{byte(rng.IntN(256))}, n)
				write(t, d, f, int64(at), string(p))
				live = grow(live, at+n)
				copy(live[at:], p)
			case 2:
				_ = d.Truncate(f, int64(at))
				live = grow(live, at)[:at]
			case 3:
				_ = d.Allocate(f, int64(at))
				live = grow(live, at)
			case 4:
				persist(t, d, f)
				durable = bytes.Clone(live)
			case 5:
				if err := d.Cut(Lose, 0); err != nil {
					rt.Fatal(err)
				}
				live = bytes.Clone(durable)
			}
			if got, _ := content(t, d, "f"); got != string(live) {
				rt.Fatalf("differs: %d bytes, want %d", len(got), len(live))
			}
		}
	})
}

func grow(p []byte, size int) []byte {
	if size > len(p) {
		p = append(bytes.Clone(p), make([]byte, size-len(p))...)
	}
	return p
}
