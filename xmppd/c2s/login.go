package c2s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
)

// Authenticator is where credentials come from. account.Store fits through StoreAuth; other
// sources can take its place. Names are localparts, prepared by RFC 7622. Its methods are safe for
// concurrent use; an error is for a source that can't be asked now: the client is told to try later.
type Authenticator interface {
	// HasKeys reports whether Keys can be asked at all: without keys there is no SCRAM.
	HasKeys() bool
	// Keys returns the SCRAM keys of an account. For a name that has none it returns decoys and
	// exists false.
	Keys(ctx context.Context, name string) (sha256, sha1 account.Keys, exists bool, err error)
	// Password checks a plain password, taking as long for unknown names as for known ones.
	Password(ctx context.Context, name, password string) (ok bool, err error)
	// Exists reports whether there is an account of that name, for logins by certificate.
	Exists(ctx context.Context, name string) (bool, error)
}

// StoreAuth authenticates against the accounts of a store. NewStoreAuth makes one.
type StoreAuth struct {
	store *account.Store
	// slots bounds the derivations under way. Each computes for a millisecond: a thousand at once
	// would keep the goroutines of streams waiting for their turn.
	slots chan struct{}
}

// NewStoreAuth makes an Authenticator of a store.
func NewStoreAuth(store *account.Store) StoreAuth {
	return StoreAuth{store, make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// HasKeys implements Authenticator.
func (s StoreAuth) HasKeys() bool { return true }

// Keys implements Authenticator.
func (s StoreAuth) Keys(ctx context.Context, name string) (account.Keys, account.Keys, bool, error) {
	a, err := s.store.Account(ctx, name)
	if errors.Is(err, account.ErrNotFound) || err == nil && !a.SHA256.Usable() {
		k256, k1 := account.Decoy(s.store.Secret(), name)
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
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	fits := keys.VerifyPassword(password)
	return fits && exists, nil
}

// Exists implements Authenticator.
func (s StoreAuth) Exists(ctx context.Context, name string) (bool, error) {
	_, err := s.store.Account(ctx, name)
	if errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// login is one attempt to authenticate.
type login struct {
	ctx     context.Context //nolint:containedctx // mechanisms are steps of one exchange
	auth    Authenticator
	domain  string
	only    []string // mechanisms that are switched on; nil: all
	channel *channel
	faults  Faults
	guess   func(name string) *guess // nil: guesses aren't counted
	metrics *metrics
	counted *guess // once there is a name
	claimed bool   // the client has said who it wants to be

	user         string // localpart that authenticates
	exists       bool
	sha256, sha1 account.Keys
}

// setUser takes the names that the client has given. The authorization identity may be empty or
// the user's own bare JID: nobody acts for somebody else here (RFC 6120 section 6.3.8).
func (l *login) setUser(name, authzid string) error {
	l.claimed = true
	j, err := stanza.ParseJID(name + "@" + l.domain)
	if err != nil || j.Local == "" || j.Domain != l.domain || j.Resource != "" {
		return fmt.Errorf("user name: %w", errAuthn)
	}
	l.user = j.Local
	if err := l.begun(); err != nil {
		return err
	}
	if authzid == "" {
		return nil
	}
	if a, err := stanza.ParseJID(authzid); (err != nil || a != j) && !l.faults.AnyAuthzid {
		return errAuthzid
	}
	return nil
}

// begun refuses or delays a login to an account that is being guessed at, before that costs more
// than looking at counts.
func (l *login) begun() error {
	if l.guess == nil {
		return nil
	}
	l.counted = l.guess(l.user)
	if limit, ok := l.counted.allowed(); !ok {
		l.metrics.limited.WithLabelValues(limit).Inc()
		return errGuesses
	}
	if l.counted.delay(l.ctx) {
		l.metrics.delayed.Inc()
	}
	return nil
}

// try counts a guess that is going to be looked at.
func (l *login) try() error {
	if l.faults.UncountedGuess {
		return nil
	}
	if limit, ok := l.counted.take(); !ok {
		l.metrics.limited.WithLabelValues(limit).Inc()
		return errGuesses
	}
	return nil
}

// succeed is the end of a login that was no guess.
func (l *login) succeed(done func(context.Context, string) error) error {
	l.counted.right()
	if done == nil {
		return nil
	}
	if err := done(l.ctx, l.user); err != nil {
		return fmt.Errorf("%w: log in %s: %w", errTemporary, l.user, err)
	}
	return nil
}

// lookup fetches the keys of the user.
func (l *login) lookup(name, authzid string) error {
	if err := l.setUser(name, authzid); err != nil {
		return err
	}
	var err error
	if l.sha256, l.sha1, l.exists, err = l.auth.Keys(l.ctx, l.user); err != nil {
		return fmt.Errorf("%w: keys: %w", errTemporary, err)
	}
	return nil
}

// plain is PLAIN (RFC 4616).
type plain struct{ *login }

func (m plain) step(msg []byte) (bool, []byte, error) {
	authzid, name, password, err := parsePlain(msg)
	if err != nil {
		return false, nil, err
	}
	if err := m.setUser(name, authzid); err != nil {
		return false, nil, err
	}
	if err := m.try(); err != nil {
		return false, nil, err
	}
	ok, err := m.auth.Password(m.ctx, m.user, password)
	if err != nil {
		m.counted.right()
		return false, nil, fmt.Errorf("%w: password: %w", errTemporary, err)
	}
	if !ok {
		return false, nil, errAuthn
	}
	return false, nil, nil
}

// parsePlain splits [authzid] NUL authcid NUL passwd.
func parsePlain(msg []byte) (authzid, name, password string, err error) {
	parts := bytes.Split(msg, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return "", "", "", errMalformed
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), nil
}

// external is EXTERNAL (RFC 4422 appendix A, XEP-0178) with the client's certificate.
type external struct{ *login }

// step takes the authorization identity. Without one the certificate must be of a single account.
func (m external) step(authzid []byte) (bool, []byte, error) {
	own := m.channel.accounts
	m.claimed = true
	if len(authzid) == 0 {
		if len(own) != 1 {
			return false, nil, &saslError{condition: "invalid-authzid", text: "the certificate is of several accounts: say which"}
		}
		m.user = own[0]
		return false, nil, nil
	}
	j, err := stanza.ParseJID(string(authzid))
	if err != nil || j.Resource != "" || j.Domain != m.domain {
		return false, nil, errAuthzid
	}
	for _, name := range own {
		if name == j.Local {
			m.user = name
			return false, nil, nil
		}
	}
	return false, nil, errAuthzid
}
