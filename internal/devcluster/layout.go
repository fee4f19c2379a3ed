package devcluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// InfoFile is the name of the description in a cluster's directory.
const InfoFile = "cluster.json"

// layout names the files of one cluster's directory.
type layout string

func (l layout) info() string       { return filepath.Join(string(l), InfoFile) }
func (l layout) pids() string       { return filepath.Join(string(l), "pids") }
func (l layout) ca() string         { return filepath.Join(string(l), "ca.pem") }
func (l layout) cert() string       { return filepath.Join(string(l), "tls", "server.pem") }
func (l layout) key() string        { return filepath.Join(string(l), "tls", "server.key") }
func (l layout) clusterKey() string { return filepath.Join(string(l), "tls", "cluster.key") }
func (l layout) clusterCA() string  { return filepath.Join(string(l), "tls", "cluster-ca.pem") }
func (l layout) lock() string       { return filepath.Join(string(l), "lock") }

func (l layout) data(id string) string   { return filepath.Join(string(l), id) }
func (l layout) log(id string) string    { return filepath.Join(string(l), "logs", id+".log") }
func (l layout) config(id string) string { return filepath.Join(string(l), "conf", id+".toml") }

// ownCert and ownKey are a server's certificate for the other ones.
func (l layout) ownCert(id string) string { return filepath.Join(string(l), "tls", id+".pem") }
func (l layout) ownKey(id string) string  { return filepath.Join(string(l), "tls", id+".key") }

func (l layout) args(id string) string {
	return filepath.Join(string(l), "args", id+".json")
}

func (l layout) secret(account string) string {
	return filepath.Join(string(l), "secrets", account+".password")
}

// make creates the directories; the ones with secrets are closed to others.
func (l layout) make() error {
	for dir, mode := range map[string]os.FileMode{"": 0o700, "tls": 0o700, "secrets": 0o700, "logs": 0o755, "args": 0o700, "conf": 0o700} {
		if err := os.MkdirAll(filepath.Join(string(l), dir), mode); err != nil {
			return fmt.Errorf("make cluster directory: %w", err)
		}
	}
	return nil
}

func serverID(i int) string { return fmt.Sprintf("x%d", i+1) }
func nodeID(i int) string   { return fmt.Sprintf("dn%d", i+1) }
