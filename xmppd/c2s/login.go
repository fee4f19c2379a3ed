package c2s

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"mellium.im/sasl"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
)

// Authenticator is where credentials come from. account.Store fits through StoreAuth; other
// sources can take its place.
type Authenticator interface {
	// Keys returns the SCRAM keys of an account. For a name that has none it returns decoys and
	// exists false; err is for a source that can't be asked now.
	Keys(ctx context.Context, name string) (sha256, sha1 account.Keys, exists bool, err error)
	// Password checks a plain password, taking as long for unknown names as for known ones.
	Password(ctx context.Context, name, password string) (ok bool, err error)
}

// StoreAuth authenticates against the accounts of a store.
type StoreAuth struct{ Store account.Store }

// Keys implements Authenticator.
func (s StoreAuth) Keys(ctx context.Context, name string) (account.Keys, account.Keys, bool, error) {
	a, err := s.Store.Account(ctx, name)
	if errors.Is(err, account.ErrNotFound) {
		k256, k1 := account.Decoy(s.Store.Secret(), name)
		return k256, k1, false, nil
	}
	if err != nil {
		return account.Keys{}, account.Keys{}, false, err
	}
	return a.SHA256, a.SHA1, true, nil
}

// Password implements Authenticator.
func (s StoreAuth) Password(ctx context.Context, name, password string) (bool, error) {
	keys, _, exists, err := s.Keys(ctx, name)
	if err != nil {
		return false, err
	}
	fits := keys.VerifyPassword(password)
	return fits && exists, nil
}

// errTemporary is answered with the SASL failure temporary-auth-failure.
var errTemporary = errors.New("credentials can't be read")

// login is one attempt to authenticate.
type login struct {
	ctx    context.Context //nolint:containedctx // sasl.Mechanism has no place for it
	auth   Authenticator
	domain string

	user         string // localpart that authenticates
	exists       bool
	sha256, sha1 account.Keys
}

// setUser takes the names that the client has given. The authorization identity may be empty or
// the user's own bare JID: nobody acts for somebody else here (RFC 6120 section 6.3.8).
func (l *login) setUser(name, authzid string) error {
	j, err := stanza.ParseJID(name + "@" + l.domain)
	if err != nil || j.Local == "" || j.Domain != l.domain || j.Resource != "" {
		return fmt.Errorf("user name: %w", sasl.ErrAuthn)
	}
	l.user = j.Local
	if authzid == "" {
		return nil
	}
	if a, err := stanza.ParseJID(authzid); err != nil || a != j {
		return errAuthzid
	}
	return nil
}

// errAuthzid is answered with the SASL failure invalid-authzid.
var errAuthzid = errors.New("authorization identity is not the user's own")

// lookup fetches the keys of the user.
func (l *login) lookup(name, authzid string) error {
	if err := l.setUser(name, authzid); err != nil {
		return err
	}
	var err error
	if l.sha256, l.sha1, l.exists, err = l.auth.Keys(l.ctx, l.user); err != nil {
		return fmt.Errorf("%w: %w", errTemporary, err)
	}
	return nil
}

// plain is the server's half of PLAIN (RFC 4616).
func (l *login) plain() sasl.Mechanism {
	return sasl.Mechanism{
		Name: "PLAIN",
		Next: func(n *sasl.Negotiator, msg []byte, _ any) (bool, []byte, any, error) {
			parts := bytes.Split(msg, []byte{0})
			if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
				return false, nil, nil, errMalformed
			}
			if err := l.setUser(string(parts[1]), string(parts[0])); err != nil {
				return false, nil, nil, err
			}
			ok, err := l.auth.Password(l.ctx, l.user, string(parts[2]))
			if err != nil {
				return false, nil, nil, fmt.Errorf("%w: %w", errTemporary, err)
			}
			if !ok {
				return false, nil, nil, sasl.ErrAuthn
			}
			return false, nil, nil, nil
		},
	}
}

// mechanisms are those offered on a stream, strongest first.
func (l *login) mechanisms(plain bool) []sasl.Mechanism {
	var ms []sasl.Mechanism
	for _, h := range scramHashes() {
		ms = append(ms, h.mechanism(l))
	}
	if plain {
		ms = append(ms, l.plain())
	}
	return ms
}
