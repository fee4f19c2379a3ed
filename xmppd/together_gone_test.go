package xmppd_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/xmppd"
)

// withoutFiles starts three servers and removes the files of the records of x2, which runs on.
func withoutFiles(t *testing.T, own xmppd.Together) *trio {
	t.Helper()
	dirs := make(map[string]string)
	x := startTrio(t, trioOptions{own: own, cfg: func(c *xmppd.Config) {
		c.ListenHTTP = "127.0.0.1:0"
		dirs[c.Cluster.Name] = filepath.Join(c.Data, "cluster")
	}})
	eventually(t, "any server may be lost", func() bool { return x.records(t).Survives })
	if err := filepath.WalkDir(dirs["x2"], func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // it was replaced meanwhile
			return nil
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	x.log.wait(t, "files of this server's data are gone")
	return x
}

// TestGoneFiles: a server whose files were removed says so while it runs, and the others do not count on its copies.
func TestGoneFiles(t *testing.T) {
	x := withoutFiles(t, xmppd.Together{})
	eventually(t, "x1 tells of it", func() bool {
		st, err := x.servers[0].ClusterStatus()
		return err == nil && st.Servers[1].DataGone && !st.Servers[0].DataGone &&
			!st.Records.Survives && strings.Join(st.Records.Needed, " ") == "x1 x3" && st.Records.Lost == 0
	})
	for i, want := range []int{http.StatusOK, http.StatusServiceUnavailable, http.StatusOK} {
		_, _, addr := x.servers[i].Addrs()
		resp, err := http.Get("http://" + addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("healthz of x%d: %d", i+1, resp.StatusCode)
		}
	}
}

// TestGoneFilesNoticeFaults: the test above would notice one of which nobody is told.
func TestGoneFilesNoticeFaults(t *testing.T) {
	x := withoutFiles(t, xmppd.Together{FullAlone: true})
	if !x.records(t).Survives {
		t.Error("the planted bug does not show")
	}
}
