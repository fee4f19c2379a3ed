package httpauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	neturl "net/url"
	"sync/atomic"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// ErrUnavailable: the source can't be asked now. It is wrapped with why.
var ErrUnavailable = errors.New("the authentication source can't be asked")

const (
	maxAnswer      = 64 << 10 // bytes
	maxIterations  = 10_000_000
	defaultTimeout = 5 * time.Second
	defaultAtOnce  = 64
)

// Config says what to ask. PasswordURL, Log and Metrics are required.
type Config struct {
	Domain      string
	PasswordURL string
	KeysURL     string        // empty: no SCRAM
	ExistsURL   string        // empty: no logins by certificate
	Secret      string        // bearer token; empty: none
	Timeout     time.Duration // of one question; 0: 5 s
	AtOnce      int           // questions under way; 0: 64
	Decoy       func() []byte // secret key of what is told about users that don't exist
	Log         *slog.Logger  // gets a line when the source is given up, and one when it is back
	Metrics     *Metrics
}

// Source is a c2s.Authenticator over HTTP. Close it when nobody asks any more.
type Source struct {
	cfg     Config
	client  *http.Client
	slots   chan struct{}
	breaker breaker
	// Decoys have as many iterations as the last real keys.
	iterations256, iterations1 atomic.Int64
}

// New makes a source. Nothing is asked before the first login.
func New(cfg Config) *Source {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = defaultAtOnce
	}
	s := &Source{
		cfg: cfg, slots: make(chan struct{}, cfg.AtOnce),
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: cfg.AtOnce, MaxConnsPerHost: cfg.AtOnce, IdleConnTimeout: time.Minute},
			// A redirect would send passwords somewhere that nobody has configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		breaker: breaker{now: time.Now},
	}
	s.iterations256.Store(account.DefaultIterations)
	s.iterations1.Store(account.DefaultIterations)
	cfg.Metrics.current.Store(s)
	return s
}

// Close closes idle connections.
func (s *Source) Close() { s.client.CloseIdleConnections() }

// HasKeys implements c2s.Authenticator.
func (s *Source) HasKeys() bool { return s.cfg.KeysURL != "" }

type question struct {
	User     string `json:"user"`
	Domain   string `json:"domain"`
	Password string `json:"password,omitempty"`
}

type verdict struct {
	OK *bool `json:"ok"`
}

// Password implements c2s.Authenticator. ErrUnavailable.
func (s *Source) Password(ctx context.Context, name, password string) (bool, error) {
	return s.yes(ctx, s.cfg.PasswordURL, question{name, s.cfg.Domain, password})
}

// Exists implements c2s.Authenticator. ErrUnavailable.
func (s *Source) Exists(ctx context.Context, name string) (bool, error) {
	if s.cfg.ExistsURL == "" {
		return false, nil
	}
	return s.yes(ctx, s.cfg.ExistsURL, question{User: name, Domain: s.cfg.Domain})
}

func (s *Source) yes(ctx context.Context, url string, q question) (bool, error) {
	var v verdict
	found, err := s.ask(ctx, url, q, &v, func() error {
		if v.OK == nil {
			return errors.New(`the answer has no "ok"`)
		}
		return nil
	})
	return err == nil && found && *v.OK, err
}

type wireKeys struct {
	Salt       []byte `json:"salt"`
	Iterations int    `json:"iterations"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

func (k *wireKeys) check(size int) error {
	if k == nil {
		return nil
	}
	if len(k.Salt) == 0 || len(k.StoredKey) != size || len(k.ServerKey) != size || k.Iterations < 1 || k.Iterations > maxIterations {
		return errors.New("the answer has keys that can't be right")
	}
	return nil
}

// Keys implements c2s.Authenticator. ErrUnavailable.
func (s *Source) Keys(ctx context.Context, name string) (sha256Keys, sha1Keys account.Keys, exists bool, err error) {
	var answer struct {
		SHA256 *wireKeys `json:"scram_sha_256"`
		SHA1   *wireKeys `json:"scram_sha_1"`
	}
	found, err := s.ask(ctx, s.cfg.KeysURL, question{User: name, Domain: s.cfg.Domain}, &answer, func() error {
		const sha256Size, sha1Size = 32, 20
		return errors.Join(answer.SHA256.check(sha256Size), answer.SHA1.check(sha1Size))
	})
	if err != nil {
		return account.Keys{}, account.Keys{}, false, err
	}
	// What is missing is replaced by what fits no password.
	sha256Keys, sha1Keys = account.Decoy(s.cfg.Decoy(), name)
	sha256Keys.Iterations, sha1Keys.Iterations = int(s.iterations256.Load()), int(s.iterations1.Load())
	if !found {
		return sha256Keys, sha1Keys, false, nil
	}
	if k := answer.SHA256; k != nil {
		s.iterations256.Store(int64(k.Iterations))
		sha256Keys = account.Keys(*k)
	}
	if k := answer.SHA1; k != nil {
		s.iterations1.Store(int64(k.Iterations))
		sha1Keys = account.Keys(*k)
	}
	return sha256Keys, sha1Keys, true, nil
}

// ask asks one question. found is false for a no by status; check looks at the answer otherwise.
func (s *Source) ask(ctx context.Context, url string, q question, answer any, check func() error) (found bool, err error) {
	count := func(outcome string) { s.cfg.Metrics.requests.WithLabelValues(outcome).Inc() }
	if !s.breaker.allow() {
		count(notAsked)
		return false, fmt.Errorf("%w: it has failed %d times in a row; it is asked again within %v", ErrUnavailable, failures, rest)
	}
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		s.breaker.abandon()
		count(notAsked)
		return false, fmt.Errorf("%w: %d questions are under way", ErrUnavailable, s.cfg.AtOnce)
	}
	found, err = s.post(ctx, url, q, answer, check)
	switch {
	case err == nil:
		count(answered)
		s.tell(s.breaker.result(true), nil)
		return found, nil
	case asked.Err() != nil:
		count(abandoned)
		s.breaker.abandon()
	default:
		count(failed)
		s.tell(s.breaker.result(false), err)
	}
	return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// tell logs that the source was given up, or is back.
func (s *Source) tell(c change, err error) {
	switch c {
	case gaveUp:
		s.cfg.Log.Warn("the source of logins is given up: nobody can log in until it answers; it is tried by one login at a time",
			"failed", failures, "every", rest, "error", err)
	case cameBack:
		s.cfg.Log.Info("the source of logins answers again")
	case same:
	}
}

func (s *Source) post(ctx context.Context, url string, q question, answer any, check func() error) (bool, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return false, fmt.Errorf("encode question: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if s.cfg.Secret != "" {
		req.Header.Set("Authorization", "Bearer "+s.cfg.Secret)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		var ue *neturl.Error // names the whole URL
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return false, fmt.Errorf("%s: %w", shown(req.URL), err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return false, fmt.Errorf("read answer: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusNotFound:
		return false, nil
	case http.StatusForbidden: // not about the user: else a wrong secret would look like wrong passwords of all
		return false, fmt.Errorf("%s answered %s: it refuses this server; does it have the secret of auth.secret_file?", shown(req.URL), resp.Status)
	default:
		return false, fmt.Errorf("%s answered %s", shown(req.URL), resp.Status)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return false, fmt.Errorf("%s answered no JSON as documented: %w", shown(req.URL), err)
	}
	if err := check(); err != nil {
		return false, fmt.Errorf("%s: %w", shown(req.URL), err)
	}
	return true, nil
}

// shown is a URL for logs: what could be a secret in it is left out.
func shown(u *neturl.URL) string { return u.Scheme + "://" + u.Host + u.Path }
