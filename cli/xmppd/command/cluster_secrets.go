package command

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/rosterdb/rosterdb/internal/certs"
	"github.com/rosterdb/rosterdb/xmppd/cluster"
)

// Files of clusterSecrets, besides NAME.pem and NAME.key of each server.
const (
	secretsKey   = "cluster.key"
	secretsCA    = "ca.pem"
	secretsCAKey = "ca.key"
)

// secretsLifetime is that of certificates: nobody but the servers trusts the authority, and it signs for nobody else.
const secretsLifetime = 10 * 365 * 24 * time.Hour

func clusterSecrets() *cli.Command {
	return &cli.Command{
		Name: "secrets", Usage: "make what servers know each other by: a key for all, an authority, and a certificate for each",
		ArgsUsage: "NAME...",
		Description: `Writes into DIR cluster.key and ca.pem, which all servers get (cluster.key_file, cluster.ca), NAME.pem and NAME.key for each server
(cluster.cert, cluster.key), and ca.key, which stays where it is safe: with it the command makes certificates for more
servers later. What is there is kept; to renew a certificate, move its two
files away first, give the server the new ones, and send it SIGHUP. They are valid for ten years.`,
		Flags: []cli.Flag{&cli.StringFlag{Name: "dir", Usage: "`DIR` to write to, made if absent", Value: "."}},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage(fmt.Errorf("name the servers, behind the flags; see `%s --help`", c.Command.HelpName))
			}
			for _, name := range c.Args().Slice() {
				if err := cluster.CheckName(name); err != nil {
					return usage(err)
				}
				if name == "ca" || name == "cluster" {
					return usage(fmt.Errorf("%s is the name of another file: give the server another one", name))
				}
			}
			made, err := makeSecrets(c.String("dir"), c.Args().Slice())
			for _, file := range made {
				_, _ = fmt.Fprintln(c.App.Writer, file)
			}
			if err == nil && len(made) == 0 {
				_, _ = fmt.Fprintln(c.App.ErrWriter, "all files are there, and were kept")
			}
			return err
		},
	}
}

// makeSecrets writes the files that are not there, and tells which.
func makeSecrets(dir string, servers []string) (made []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory: %w", err)
	}
	write := func(name string, text []byte, mode fs.FileMode) error {
		file := filepath.Join(dir, name)
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return fmt.Errorf("write a secret: %w", err)
		}
		if _, err := f.Write(text); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", file, err), f.Close(), os.Remove(file))
		}
		made = append(made, file)
		return f.Close()
	}
	pair := func(name string, p *certs.Pair) error {
		key, err := p.KeyPEM()
		if err != nil {
			return err
		}
		// The certificate comes last: it says that the key is whole.
		return errors.Join(write(name+".key", key, 0o600), write(name+".pem", p.CertPEM(), 0o644))
	}
	if !exists(dir, secretsKey) {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		if err := write(secretsKey, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
			return made, err
		}
	}
	if !exists(dir, secretsCA) {
		ca, err := certs.New(certs.Options{Name: "xmppd cluster", Authority: true, Lifetime: secretsLifetime}, nil)
		if err != nil {
			return made, err
		}
		if err := pair("ca", ca); err != nil {
			return made, err
		}
	}
	ca, err := certs.Load(filepath.Join(dir, secretsCA), filepath.Join(dir, secretsCAKey))
	if err != nil {
		return made, fmt.Errorf("the authority of the servers: %w", err)
	}
	for _, name := range servers {
		if exists(dir, name+".pem") {
			continue
		}
		own, err := certs.New(certs.Options{Name: name, Hosts: []string{name}, Client: true, Lifetime: secretsLifetime}, ca)
		if err != nil {
			return made, err
		}
		if err := pair(name, own); err != nil {
			return made, err
		}
	}
	return made, nil
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
