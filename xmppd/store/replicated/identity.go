package replicated

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/xmppd/store"
)

const (
	identityRoot = "identity"
	secretSize   = 32 // bytes
)

// identity is what the data is: replicated like all else, in a root of its own.
type identity struct {
	domain string
	secret []byte
}

// learnIdentity finds out what the data is, or says it where nobody has, as soon as it can.
func (s *Store) learnIdentity() {
	ctx := context.Background()
	for !s.ended() {
		id, err := s.agreeIdentity(s.newTry(ctx))
		switch {
		case err == nil && id.domain == s.opt.Domain:
			s.identity.Store(id)
			close(s.ready)
			return
		case err == nil:
			s.fail(fmt.Errorf("%w: the cluster's data is of domain %q, not %q: name the right domain or another cluster", store.ErrForeign, id.domain, s.opt.Domain))
			return
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat):
			s.fail(err)
			return
		}
		s.log.Info("the cluster's data can't be reached yet", "err", err)
	}
}

func (s *Store) agreeIdentity(t *try) (*identity, error) {
	for {
		id, revision, err := s.readIdentity(t)
		if id != nil || err != nil {
			return id, err
		}
		secret := make([]byte, secretSize)
		rand.Read(secret)
		value := append(appendString([]byte{wireVersion}, s.opt.Domain), secret...)
		_, err = s.write(t, identityRoot, op.Condition{Kind: op.VersionIs, Version: revision}, []op.Mutation{{Kind: op.Put, Value: value}})
		if err != nil && !errors.Is(err, errConflict) {
			return nil, err
		}
	}
}

func (s *Store) readIdentity(t *try) (*identity, uint64, error) {
	v, _, err := s.open(t, identityRoot)
	if err != nil {
		return nil, 0, err
	}
	defer v.close()
	b, ok, err := v.get("")
	if err != nil || !ok {
		return nil, v.revision(), err
	}
	d := decoder{b: b}
	if d.byte() != wireVersion {
		return nil, 0, fmt.Errorf("%w: run the version of xmppd that wrote it, or a later one", store.ErrNewerFormat)
	}
	id := &identity{domain: d.string()}
	if id.secret = bytes.Clone(d.b); d.bad || len(id.secret) != secretSize {
		return nil, 0, fmt.Errorf("%w: what the data says of itself makes no sense", store.ErrCorrupt)
	}
	return id, v.revision(), nil
}
