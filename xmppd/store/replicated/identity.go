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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.stops.Go(func() {
		select {
		case <-s.quit:
		case <-ctx.Done():
		}
		cancel()
	})
	for !s.ended() {
		id, err := s.agreeIdentity(ctx)
		switch {
		case err == nil:
			err = s.isOurs(id)
			if err == nil {
				s.identity.Store(id)
				close(s.ready)
				return
			}
			s.fail(err)
			return
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrNewerFormat), errors.Is(err, errImport):
			s.fail(err)
			return
		}
		s.log.Info("the cluster's data can't be reached yet", "reason", err)
	}
}

// isOurs tells whether the cluster's data is what this server may work with.
func (s *Store) isOurs(id *identity) error {
	switch {
	case id.domain != s.opt.Domain:
		return fmt.Errorf("%w: the cluster's data is of domain %q, not %q: name the right domain or another cluster", store.ErrForeign, id.domain, s.opt.Domain)
	case s.opt.Import != nil && !bytes.Equal(id.secret, s.opt.Import.Secret):
		return ErrOwnData
	}
	return nil
}

var errImport = errors.New("older data can't be taken over")

func (s *Store) agreeIdentity(ctx context.Context) (*identity, error) {
	t := s.newTry(ctx)
	for {
		id, revision, err := s.readIdentity(t)
		if id != nil || err != nil {
			return id, err
		}
		if s.opt.Follows {
			t.last = "the server that has founded the cluster has not said yet what its data is"
			if err := t.pause(); err != nil {
				return nil, err
			}
			continue
		}
		secret := make([]byte, secretSize)
		rand.Read(secret)
		if old := s.opt.Import; old != nil && len(old.Secret) == secretSize {
			copy(secret, old.Secret)
		}
		if !s.opt.faults.hastyImport {
			if err := s.importData(ctx); err != nil {
				return nil, err
			}
			t = s.newTry(ctx)
		}
		value := append(appendString([]byte{wireVersion}, s.opt.Domain), secret...)
		_, err = s.write(t, identityRoot, op.Condition{Kind: op.VersionIs, Version: revision}, []op.Mutation{{Kind: op.Put, Value: value}})
		if err != nil && !errors.Is(err, errConflict) {
			return nil, err
		}
		if s.opt.faults.hastyImport {
			if err := s.importData(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// importData writes what the cluster begins with.
func (s *Store) importData(ctx context.Context) error {
	if s.opt.Import == nil {
		return nil
	}
	if err := s.opt.Import.Run(ctx, s); err != nil {
		if s.ended() {
			return store.ErrClosed
		}
		return fmt.Errorf("%w: %w", errImport, err)
	}
	return nil
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
