package devcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Info says how to reach a cluster. It is what `ringctl dev up -o json` prints
// and DIR/cluster.json holds; its fields are a contract with scripts.
type Info struct {
	Domain string `json:"domain"`
	CA     string `json:"ca"` // PEM file of the authority that signed the server's certificate
	// InsecurePlaintext: the client-to-server listener takes logins without TLS.
	InsecurePlaintext bool               `json:"insecure_plaintext,omitempty"`
	Servers           []Server           `json:"servers"`
	Nodes             []Node             `json:"nodes"`
	Accounts          map[string]Account `json:"accounts"` // "app", "shop", "operator", "user1", "user2"
}

// Server is one XMPP server. Addresses are host:port, empty where a listener is off.
type Server struct {
	ID   string `json:"id"`
	PID  int    `json:"pid"` // 0 when it was stopped
	C2S  string `json:"c2s"` // STARTTLS, or plain text with InsecurePlaintext
	TLS  string `json:"tls"` // direct TLS (XEP-0368)
	HTTP string `json:"http"`
	// Cluster is for the other servers (TCP and UDP); empty where there are none.
	Cluster string `json:"cluster,omitempty"`
}

// Node is one data node.
type Node struct {
	ID   string `json:"id"`
	PID  int    `json:"pid"`
	JID  string `json:"jid"` // full JID
	Data string `json:"data"`
	// Metrics is the host:port of /metrics and /healthz; empty where they are off.
	Metrics string `json:"metrics,omitempty"`
}

// Account is a login of the domain.
type Account struct {
	JID      string `json:"jid"` // bare JID
	Password string `json:"password"`
}

// missing is the error of a file that is not there, without the system's words for it.
type missing struct {
	text string
	err  error
}

func (e *missing) Error() string { return e.text }
func (e *missing) Unwrap() error { return e.err }

// Load reads a cluster.json. The error says what to do when there is none, and is fs.ErrNotExist then.
func Load(file string) (*Info, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if filepath.Base(file) != InfoFile {
			return nil, &missing{fmt.Sprintf("there is no file %s: name the %s in the directory given to `ringctl dev up --dir`", file, InfoFile), err}
		}
		return nil, &missing{fmt.Sprintf("no cluster described in %s, for there is no such file: start one with `ringctl dev up --dir %s`", file, filepath.Dir(file)), err}
	}
	if err != nil {
		return nil, fmt.Errorf("read cluster description: %w", err)
	}
	info := new(Info)
	if err := json.Unmarshal(b, info); err != nil {
		return nil, fmt.Errorf("%s is no cluster description as `ringctl dev up -o json` prints it: %w", file, err)
	}
	if info.Domain == "" || len(info.Servers) == 0 {
		return nil, fmt.Errorf("%s names no domain or no server: write it with `ringctl dev up -o json`", file)
	}
	return info, nil
}

// save writes the description so that a reader sees the old one or the new one.
func (i *Info) save(file string) error {
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode cluster description: %w", err)
	}
	return writeSecret(file, append(b, '\n'))
}

// writeSecret replaces a file atomically; only its owner may read it.
func writeSecret(file string, content []byte) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		os.Remove(tmp) //nolint:errcheck // half a file is of no use, and that it stays does no harm
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	return nil
}
