package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// FileName is the file of a Bolt store inside the data directory.
const FileName = "xmppd.db"

const formatVersion = 1

// lockWait is how long Open waits for another process to let go of the file. It is short: the
// usual case is a server that runs, not one that is about to end.
const lockWait = 500 * time.Millisecond

// Bolt is a Store in one bbolt file of a data directory. bbolt's file lock keeps a second process
// out.
type Bolt struct {
	db     *bbolt.DB
	secret []byte
}

var _ Store = (*Bolt)(nil)

// Buckets: meta (format, domain, secret), accounts (name), groups (name -> group),
// rosters (name NUL contact).
func bucketMeta() []byte     { return []byte("meta") }
func bucketAccounts() []byte { return []byte("accounts") }
func bucketGroups() []byte   { return []byte("groups") }
func bucketRosters() []byte  { return []byte("rosters") }

// Open opens or creates the store of a domain in directory dir.
// ErrLocked, ErrNewerFormat and ErrForeign say what to do.
func Open(dir, domain string) (*Bolt, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w: stop the other process or give --data another directory", dir, ErrLocked)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, fmt.Errorf("%s: %w: not a database of this server (%w); move it away or restore a backup", path, ErrForeign, err)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	b := &Bolt{db: db}
	if err := b.prepare(dir, domain); err != nil {
		_ = db.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bolt) prepare(dir, domain string) error {
	ready := false
	err := b.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta())
		if meta == nil {
			if tx.Cursor().Bucket() != nil {
				if k, _ := tx.Cursor().First(); k != nil {
					return fmt.Errorf("%s: %w: the file holds another program's data", dir, ErrForeign)
				}
			}
			return nil
		}
		if v := meta.Get([]byte("format")); len(v) != 4 || binary.BigEndian.Uint32(v) > formatVersion {
			return fmt.Errorf("%s: %w: run the version of xmppd that wrote it, or a later one", dir, ErrNewerFormat)
		}
		if d := string(meta.Get([]byte("domain"))); d != domain && domain != "" {
			return fmt.Errorf("%s: %w: its accounts are of domain %q, not %q; give --domain %s or another --data", dir, ErrForeign, d, domain, d)
		}
		b.secret = bytes.Clone(meta.Get([]byte("secret")))
		ready = true
		return nil
	})
	if err != nil || ready {
		return err
	}
	if domain == "" {
		return fmt.Errorf("%s: %w: the directory is empty; give --domain to make it the store of a domain", dir, ErrNotFound)
	}
	return b.create(domain)
}

func (b *Bolt) create(domain string) error {
	b.secret = make([]byte, 32)
	if _, err := rand.Read(b.secret); err != nil {
		return fmt.Errorf("make secret: %w", err)
	}
	return b.update("create store", func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta(), bucketAccounts(), bucketGroups(), bucketRosters()} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta())
		return errors.Join(
			meta.Put([]byte("format"), binary.BigEndian.AppendUint32(nil, formatVersion)),
			meta.Put([]byte("domain"), []byte(domain)),
			meta.Put([]byte("secret"), b.secret),
		)
	})
}

func (b *Bolt) update(what string, f func(*bbolt.Tx) error) error {
	if err := b.db.Update(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (b *Bolt) view(what string, f func(*bbolt.Tx) error) error {
	if err := b.db.View(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Domain is the domain the store was made for.
func (b *Bolt) Domain() (string, error) {
	var d string
	err := b.view("read domain", func(tx *bbolt.Tx) error {
		d = string(tx.Bucket(bucketMeta()).Get([]byte("domain")))
		return nil
	})
	return d, err
}

// Secret implements Store.
func (b *Bolt) Secret() []byte { return b.secret }

// Close implements Store.
func (b *Bolt) Close() error {
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close accounts: %w", err)
	}
	return nil
}

// Create implements Store. Many creations at once share a transaction.
func (b *Bolt) Create(_ context.Context, a *Account) error {
	rec, err := encodeRecord(a)
	if err != nil {
		return err
	}
	err = b.db.Batch(func(tx *bbolt.Tx) error {
		accounts := tx.Bucket(bucketAccounts())
		if accounts.Get([]byte(a.Name)) != nil {
			return ErrExists
		}
		if a.Group != "" {
			if err := tx.Bucket(bucketGroups()).Put([]byte(a.Name), []byte(a.Group)); err != nil {
				return err
			}
		}
		return accounts.Put([]byte(a.Name), rec)
	})
	if err != nil {
		return fmt.Errorf("create account %q: %w", a.Name, err)
	}
	return nil
}

// SetKeys implements Store.
func (b *Bolt) SetKeys(_ context.Context, name string, sha256Keys, sha1Keys Keys) error {
	return b.update(fmt.Sprintf("change password of %q", name), func(tx *bbolt.Tx) error {
		a, err := accountIn(tx, name)
		if err != nil {
			return err
		}
		a.SHA256, a.SHA1 = sha256Keys, sha1Keys
		rec, err := encodeRecord(a)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketAccounts()).Put([]byte(name), rec)
	})
}

// Delete implements Store.
func (b *Bolt) Delete(_ context.Context, name string) error {
	return b.update(fmt.Sprintf("delete account %q", name), func(tx *bbolt.Tx) error {
		accounts := tx.Bucket(bucketAccounts())
		if accounts.Get([]byte(name)) == nil {
			return ErrNotFound
		}
		rosters := tx.Bucket(bucketRosters())
		c, prefix := rosters.Cursor(), itemKey(name, "")
		for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return errors.Join(accounts.Delete([]byte(name)), tx.Bucket(bucketGroups()).Delete([]byte(name)))
	})
}

func accountIn(tx *bbolt.Tx, name string) (*Account, error) {
	rec := tx.Bucket(bucketAccounts()).Get([]byte(name))
	if rec == nil {
		return nil, ErrNotFound
	}
	a := new(Account)
	if err := decodeRecord(rec, a); err != nil {
		return nil, err
	}
	return a, nil
}

// Account implements Store.
func (b *Bolt) Account(_ context.Context, name string) (a *Account, err error) {
	err = b.view(fmt.Sprintf("read account %q", name), func(tx *bbolt.Tx) error {
		a, err = accountIn(tx, name)
		return err
	})
	return a, err
}

// List implements Store.
func (b *Bolt) List(ctx context.Context, f func(*Account) bool) error {
	return b.view("list accounts", func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketAccounts()).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			a := new(Account)
			if err := decodeRecord(v, a); err != nil {
				return fmt.Errorf("account %q: %w", k, err)
			}
			if !f(a) {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Grouped implements Store.
func (b *Bolt) Grouped(context.Context) (ms []Member, err error) {
	err = b.view("read groups", func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketGroups()).ForEach(func(k, v []byte) error {
			ms = append(ms, Member{Name: string(k), Group: string(v)})
			return nil
		})
	})
	return ms, err
}
