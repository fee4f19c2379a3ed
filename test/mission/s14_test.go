package mission

import (
	"bytes"
	enc "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/internal/admin"
	"github.com/rosterdb/rosterdb/internal/devcluster"
	"github.com/rosterdb/rosterdb/test/harness"
)

// checkRepair: a disk is lost and another refilled from its peers, under load; a
// flipped byte in the file of a stopped node is found by its checksum, and a wrong
// value under a right checksum by comparing replicas: both are mended from the
// majority.
func checkRepair(t *testing.T) {
	c := harness.Start(t, devcluster.Options{Binary: binary, Partitions: 24, Launch: scrubWhenAsked})
	r := ringctl{t, c}
	r.loseDisk("dn3")

	value := strings.Repeat("a value that is nowhere else ", 4)
	key := written{"mend/me", "please"}
	client := harness.Dial(t, c, nil)
	if _, err := client.Root(key.root).Put(t.Context(), key.path, []byte(value)); err != nil {
		t.Fatal(err)
	}
	partition := r.partition(key.root)
	// Acknowledged is a majority: a scrub ends when all replicas have applied it.
	r.must("scrub", strconv.FormatUint(uint64(partition), 10))
	found := r.mend("dn2", func(file string) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for at < len(b) {
			n := bytes.Index(b[at:], []byte(value))
			if n < 0 {
				break
			}
			b[at+n+len(value)/2] ^= 4
			at += n + len(value)
		}
		if at == 0 {
			t.Fatalf("%s has no object with the value", file)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if found.Damaged != 1 || found.Repaired != 1 || found.Mismatches != 0 {
		t.Errorf("a flipped byte: %+v", found)
	}
	found = r.mend("dn1", func(file string) {
		object(t, file, partition, key, func(rec []byte) []byte {
			rec = bytes.Replace(rec, []byte("nowhere"), []byte("somehow"), 1)
			sum := crc32.MakeTable(crc32.Castagnoli)
			enc.LittleEndian.PutUint32(rec, crc32.Update(crc32.Checksum([]byte(key.root+"\x00"+key.path), sum), sum, rec[4:]))
			return rec
		})
	})
	if found.Damaged != 1 || found.Repaired != 1 || found.Mismatches != 1 {
		t.Errorf("a wrong value: %+v", found)
	}
	if o, err := get(t.Context(), client, key); err != nil || string(o.Value) != value {
		t.Errorf("read back %v, %v", o, err)
	}
	for _, id := range []string{"dn1", "dn2", "dn3"} {
		r.stop(id)
		object(t, r.stateOf(id), partition, key, func(rec []byte) []byte {
			if !bytes.HasSuffix(rec, []byte(value)) {
				t.Errorf("%s has %q", id, rec)
			}
			return nil
		})
		restart(t, c, id)
	}
}

// scrubWhenAsked keeps data nodes from scrubs of their own.
func scrubWhenAsked(_ string, argv []string) ([]string, error) {
	if slices.Contains(argv, "datanode") {
		argv = append(slices.Clone(argv), "--scrub-every", "0")
	}
	return argv, nil
}

// loseDisk takes a node's disk away under load, and replaces it.
func (r ringctl) loseDisk(id string) {
	t := r.t
	t.Helper()
	load := startLoad(t, harness.Dial(t, r.c, nil), "lost")
	kill(t, r.c, id)
	if err := r.c.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := r.c.Add(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.must("replace", "--yes", id, id)
	r.awaitEnd()
	load.stop(t, harness.Dial(t, r.c, nil), 1)
	if doc := r.ring(); len(doc.Members) != 3 || doc.LastID != 4 {
		t.Errorf("after the replacement: %d members, last id %d", len(doc.Members), doc.LastID)
	}
	for _, n := range r.scrub().Nodes {
		if n.Mismatches+int(n.Damaged) > 0 {
			t.Errorf("after the replacement: %+v", n)
		}
	}
}

// scrub compares all replicas until they are equal.
func (r ringctl) scrub() (s admin.Scrub) {
	r.t.Helper()
	out, err := r.command("scrub", "-o", "json").Output() // without the progress, which is told beside it
	if err != nil {
		r.t.Fatalf("scrub: %v: %s", err, out)
	}
	if err := json.Unmarshal(out, &s); err != nil || !s.Sound() || s.Compared != s.Partitions {
		r.t.Fatalf("scrub: %v in %s", err, out)
	}
	return s
}

// mend damages the state file of a stopped node, and lets a scrub find it.
func (r ringctl) mend(id string, damage func(file string)) (found admin.ScrubShare) {
	r.t.Helper()
	r.stop(id)
	damage(r.stateOf(id))
	restart(r.t, r.c, id)
	s := r.scrub()
	for _, n := range s.Nodes {
		if n.Node == id {
			found = n
		} else if n.Mismatches+int(n.Damaged) > 0 {
			r.t.Errorf("%s was damaged, and of %s is told %+v", id, n.Node, n)
		}
	}
	return found
}

// stop ends a node in good order, so that all it holds is in its state file.
func (r ringctl) stop(id string) {
	r.t.Helper()
	if err := r.c.Signal(id, syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	harness.Eventually(r.t, time.Minute, id+" has stopped", func() bool { return slices.Contains(r.c.NotRunning(), id) })
}

func (r ringctl) stateOf(id string) string {
	r.t.Helper()
	for _, n := range r.c.Info().Nodes {
		if n.ID == id {
			return filepath.Join(n.Data, "state.db")
		}
	}
	r.t.Fatalf("no node %s", id)
	return ""
}

func (r ringctl) partition(root string) uint32 {
	r.t.Helper()
	var where struct{ Partition uint32 }
	if err := json.Unmarshal([]byte(r.must("where", "-o", "json", root)), &where); err != nil {
		r.t.Fatal(err)
	}
	return where.Partition
}

// object changes an object's record in a state file: look gets a copy, and what it
// returns is put in its place, unless it is nil.
func object(t *testing.T, file string, partition uint32, key written, look func(rec []byte) []byte) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		part := tx.Bucket(enc.BigEndian.AppendUint32([]byte{'p'}, partition))
		if part == nil {
			return errors.New("no partition " + strconv.FormatUint(uint64(partition), 10))
		}
		objects, at := part.Bucket([]byte("objects")), []byte(key.root+"\x00"+key.path)
		rec := objects.Get(at)
		if rec == nil {
			return fmt.Errorf("no object %q", at)
		}
		if rec = look(bytes.Clone(rec)); rec == nil {
			return nil
		}
		return objects.Put(at, rec)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
