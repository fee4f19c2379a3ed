package datanode

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/replication"
	"github.com/rosterdb/rosterdb/ring"
)

// TestLeavingIsNoError: a node that has left as asked alarms nobody; one whose place has
// another store does.
func TestLeavingIsNoError(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(doc *ring.Document)
		level string
	}{
		{"left", func(doc *ring.Document) { doc.Members = doc.Members[1:] }, "level=INFO"},
		{"another disk", func(doc *ring.Document) { doc.Members[0].Store = "00000000-0000-4000-8000-000000000009" }, "level=ERROR"},
	} {
		n, _, _ := testNode(t)
		path := t.TempDir()
		body := fmt.Sprintf(`{"store":%q,"cluster":%q,"member":1,"started":true}`, n.store, testCluster)
		head := fmt.Sprintf("rosterdb identity 1 %08x\n", crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli)))
		if err := os.WriteFile(filepath.Join(path, "identity"), []byte(head+body), 0o600); err != nil {
			t.Fatal(err)
		}
		dir, err := replication.OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close() //nolint:errcheck // only releases the lock
		var log bytes.Buffer
		n.dir, n.log = dir, slog.New(slog.NewTextHandler(&log, nil))
		doc := *n.view.Load().doc
		doc.Members = append([]ring.Member(nil), doc.Members...)
		doc.Epoch++
		c.edit(&doc)
		if err := n.adopt(&doc); err == nil || n.stranger.Load() == nil {
			t.Errorf("%s: adopted, %v", c.name, err)
		}
		if !strings.Contains(log.String(), c.level) || c.level == "level=INFO" && strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%s: %s", c.name, log.String())
		}
	}
}
