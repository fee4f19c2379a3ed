package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/rosterdb/rosterdb/ring"
)

// Silent damage: a byte of a record in the state's file changes while nobody looks,
// or a record gets another value together with the checksum of that. The second
// kind only a scrub can find, and until then its value is served; so it strikes
// objects that are of no account to the clients (witness.go).

// mark is damage that was planted into a replica, until it is known to be gone.
type mark struct {
	at       int64 // when
	wrong    bool  // the checksum is right
	key      []byte
	right    []byte // the record as it was
	bad      []byte // and as it is
	condemns bool   // a scrub has found it, and the replica has noted that durably
}

// damage strikes a replica, if its group can bear it: the others have their states,
// and their disks.
func (w *world) damage() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	group := w.anyGroup()
	wrong := w.chance(0.4)
	if n.parts[group] == nil || !w.bearsDamage(n, group) || wrong && (group == ring.MetaPartition || n.pictured(group)) {
		return
	}
	list, err := records(n.stateFile(), group)
	if err != nil {
		w.fail("look for something to damage: %w", err)
		return
	}
	if wrong {
		list = only(list, objectsBucket, w.witnessKey(group))
	}
	if len(list) == 0 {
		return
	}
	r := list[w.rng.IntN(len(list))]
	bad := bytes.Clone(r.value)
	m := &mark{at: w.now, wrong: wrong, key: r.key, right: r.value, bad: bad}
	if wrong {
		bad[len(bad)-1] ^= 1
		reseal(r.key, bad)
		w.count("wrong value")
		w.after(w.between(0, second), func() { w.scrubGroup(group) })
	} else {
		bad[w.rng.IntN(len(bad))] ^= 1 << w.rng.IntN(8)
		w.count("flipped bit")
	}
	w.logf("damage on node %d (%d), group %d: %s %q, checksum right: %v", n.id(), n.index, group, r.bucket, r.key, wrong)
	w.marks[diskKey{n.index, group}] = m
	if err := overwrite(n.stateFile(), r.key, r.value, bad); err != nil {
		w.fail("damage: %w", err)
	}
}

// anyGroup draws a group.
func (w *world) anyGroup() uint32 {
	if g := uint32(w.rng.IntN(partitions + 1)); g < partitions {
		return g
	}
	return ring.MetaPartition
}

// bearsDamage tells whether a replica may be damaged: it is a full one of three at
// least, none of them is damaged or lost.
func (w *world) bearsDamage(n *node, group uint32) bool {
	if n.lost || w.anyLost() || w.markedNode(group) != nil || w.marks[diskKey{n.index, group}] != nil {
		return false
	}
	list := w.check.confs[group]
	cs := list[len(list)-1].cs
	return len(cs.GetVoters()) >= replicas && w.check.inConf(group, n.member)
}

// markedNode is the one whose replica of a group is damaged, if any that counts is.
func (w *world) markedNode(group uint32) *node {
	for _, n := range w.nodes {
		if w.marks[diskKey{n.index, group}] != nil && w.check.inConf(group, n.member) {
			return n
		}
	}
	return nil
}

// anyMarked tells whether some replica that counts may be damaged.
func (w *world) anyMarked() bool {
	for g := range w.groups() {
		if w.markedNode(g) != nil {
			return true
		}
	}
	return false
}

// undo takes a wrong value back that nobody has found: a picture of it would carry
// it on to other replicas, and a majority could be wrong then, which nobody bears.
func (w *world) undo(n *node, group uint32) {
	key := diskKey{n.index, group}
	m := w.marks[key]
	if m == nil || !m.wrong || m.condemns || n.parts[group].Damaged() != nil {
		return
	}
	w.logf("damage on node %d, group %d, is taken back", n.id(), group)
	if err := overwrite(n.stateFile(), m.key, m.bad, m.right); err != nil {
		w.fail("take damage back: %w", err)
	}
	n.flushState() // ends the transactions of readers, which may have copies of small buckets
	w.unmark(key)
}

// unmark notes that damage is gone.
func (w *world) unmark(key diskKey) {
	if m := w.marks[key]; m != nil {
		if m.wrong {
			w.wronged[key] = w.now
		}
		delete(w.marks, key)
	}
}

// wasWrong tells whether a replica has, or had a short while ago, a wrong value: an
// order to repair it may come late, and then does no harm.
func (w *world) wasWrong(key diskKey) bool {
	if m := w.marks[key]; m != nil && m.wrong {
		return true
	}
	at, ok := w.wronged[key]
	return ok && w.now-at < 20*second
}

func (n *node) stateFile() string {
	return filepath.Join(n.dir, fmt.Sprintf("state-%d.db", n.wipes))
}

// record is one of a partition's tables.
type record struct {
	bucket     string
	key, value []byte
}

const objectsBucket = "objects"

func only(list []record, bucket string, key []byte) (out []record) {
	for _, r := range list {
		if r.bucket == bucket && bytes.Equal(r.key, key) {
			out = append(out, r)
		}
	}
	return out
}

// records lists those of a partition, in order; none while a snapshot gathers that
// could have them, too. It opens a copy of the file, which the node has locked.
func records(file string, group uint32) (list []record, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dup := file + ".copy"
	if err := os.WriteFile(dup, raw, 0o600); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(dup, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return list, db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(binary.BigEndian.AppendUint32([]byte{'p'}, group))
		if b == nil || tx.Bucket(binary.BigEndian.AppendUint32([]byte{'s'}, group)) != nil {
			return nil
		}
		return b.ForEachBucket(func(name []byte) error {
			return b.Bucket(name).ForEach(func(k, v []byte) error {
				if len(v) > 0 {
					list = append(list, record{string(name), bytes.Clone(k), bytes.Clone(v)})
				}
				return nil
			})
		})
	})
}

// overwrite changes a record in the file, where it may be open: the value lies right
// behind the key. On pages that are out of use it is changed, too, which nobody sees.
func overwrite(file string, key, from, to []byte) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing is buffered
	raw, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	was := append(bytes.Clone(key), from...)
	found := false
	for off := 0; ; off++ {
		i := bytes.Index(raw[off:], was)
		if i < 0 {
			break
		}
		found, off = true, off+i
		if _, err := f.WriteAt(to, int64(off+len(key))); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has no record %q", filepath.Base(file), key)
	}
	return nil
}

// reseal makes the checksum of a record right.
func reseal(key, rec []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(rec, crc32.Update(crc32.Checksum(key, table), table, rec[4:]))
}
