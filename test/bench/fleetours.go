package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/internal/devcluster"
)

// oursFleet makes a cluster of n xmppd, which keeps accounts and all else on three of them; of one: a server alone.
func (b *bench) oursFleet(name string, n int) (*fleet, error) {
	dir := b.bin(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := devcluster.ChoosePorts(3*n, 0)
	if err != nil {
		return nil, err
	}
	ca, err := certs.New(certs.Options{Name: "bench", Authority: true, Lifetime: 24 * time.Hour}, nil)
	if err != nil {
		return nil, err
	}
	f := &fleet{name: ours, whole: oursWhole}
	for i := range n {
		id := "x" + strconv.Itoa(i+1)
		m := &fleetMember{id: name + " " + id, c2s: ports[3*i], http: ports[3*i+1], log: filepath.Join(dir, id+".log")}
		config := fmt.Sprintf("domain = \"localhost\"\ndata = %q\nlog_level = \"warn\"\nlisten_c2s = %q\nlisten_tls = \"\"\nlisten_http = %q\ninsecure_plaintext = true\nregistration = \"open\"\n",
			filepath.Join(dir, id), m.c2s, m.http)
		if n > 1 {
			more, err := oursPlace(dir, id, ca, ports, i)
			if err != nil {
				return nil, err
			}
			config += more
		}
		file, err := write(dir, id+".toml", []byte(config))
		if err != nil {
			return nil, err
		}
		m.argv = []string{b.ringctl, "xmppd", "serve", "--config", file}
		f.members = append(f.members, m)
	}
	return f, nil
}

// oursPlace is the part of a server's configuration that puts it among the others.
func oursPlace(dir, id string, ca *certs.Pair, ports []string, i int) (string, error) {
	pair, err := certs.New(certs.Options{Name: id, Hosts: []string{id}, Lifetime: 24 * time.Hour}, ca)
	if err != nil {
		return "", err
	}
	secret, err := pair.KeyPEM()
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("[cluster]\nlisten = %q\nname = %q\n", ports[3*i+2], id)
	for _, file := range []struct {
		key, name string
		content   []byte
	}{
		{"ca", "ca.pem", ca.CertPEM()},
		{"cert", id + "-cert.pem", pair.CertPEM()},
		{"key", id + "-key.pem", secret},
		{"key_file", "gossip.key", []byte(strings.Repeat("2b", 32) + "\n")},
	} {
		path, err := write(dir, file.name, file.content)
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf("%s = %q\n", file.key, path)
	}
	if i == 0 {
		return text + "found = true\njoin = []\n", nil
	}
	return text + fmt.Sprintf("join = [%q]\n", ports[2]), nil
}

// oursWhole: each server takes clients and has a link to each other one.
func oursWhole(ctx context.Context, f *fleet) bool {
	on := f.running()
	for _, m := range on {
		if code, _ := get(ctx, "http://"+m.http+"/healthz"); code != http.StatusOK {
			return false
		}
		if m.metric(ctx, "xmppd_cluster_link_up") != float64(len(on)-1) {
			return false
		}
	}
	return true
}

// metric is the sum over the labels of a metric; 0 when it is not told.
func (m *fleetMember) metric(ctx context.Context, name string) (sum float64) {
	_, text := get(ctx, "http://"+m.http+"/metrics")
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		series, value, _ := strings.Cut(s.Text(), " ")
		if base, _, _ := strings.Cut(series, "{"); base == name {
			n, _ := strconv.ParseFloat(value, 64) // programs write numbers
			sum += n
		}
	}
	return sum
}

// get is a request to a server that may not be there yet: 0 then.
func get(ctx context.Context, url string) (code int, body []byte) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if body, err = io.ReadAll(res.Body); err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

func reachable(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
