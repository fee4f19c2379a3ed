package xmppd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/store"
	"github.com/rosterdb/rosterdb/xmppd/store/bolt"
)

// Users manages the accounts of a data directory, whether a server has it open or not.
type Users interface {
	Add(ctx context.Context, name, password, group string) error
	SetPassword(ctx context.Context, name, password string) error
	Delete(ctx context.Context, name string) error
	SetGroup(ctx context.Context, name, group string) error
	List(ctx context.Context) ([]UserInfo, error)

	// Roster is what the account sees as its roster.
	Roster(ctx context.Context, name string) ([]RosterItem, error)
	// SetRosterItem makes an item what is said here; nobody is asked. account.ErrNotFound, also for a
	// contact of this domain unless the item says Force, and account.ErrInvalid.
	SetRosterItem(ctx context.Context, name string, item RosterItem) error
	// RemoveRosterItem takes a contact out of a roster. account.ErrNotFound, account.ErrNoContact.
	RemoveRosterItem(ctx context.Context, name, contact string) error

	Close() error
}

// OpenUsers opens the accounts of a data directory that has been used before: directly, or through
// the server that runs on it. domain may be empty. store.ErrNoData, store.ErrForeign, and the others of bolt.Open.
func OpenUsers(ctx context.Context, data, domain string) (Users, error) {
	return openUsers(ctx, data, domain, bolt.OpenExisting)
}

// OpenOrMakeUsers is OpenUsers, and makes a directory that is new for the domain. The errors of
// bolt.Open.
func OpenOrMakeUsers(ctx context.Context, data, domain string) (Users, error) {
	return openUsers(ctx, data, domain, bolt.Open)
}

func openUsers(ctx context.Context, data, domain string, open func(dir, domain string) (*bolt.Store, error)) (Users, error) {
	// A running server answers on its socket at once; its lock would be waited for.
	remote := newRemoteUsers(filepath.Join(data, adminSocket))
	running, askErr := remote.domain(ctx)
	switch {
	case askErr == nil && domain != "" && domain != running:
		return nil, errors.Join(fmt.Errorf("%w: the server that runs on %s has the domain %s, not %s; leave --domain away, or name another --data", store.ErrForeign, data, running, domain), remote.Close())
	case askErr == nil:
		return remote, nil
	}
	if err := remote.Close(); err != nil {
		return nil, err
	}
	if !errors.Is(askErr, errNotRunning) {
		return nil, askErr
	}
	if err := notOfCluster(data); err != nil {
		return nil, fmt.Errorf("no server answers on %s, and the accounts are not in the directory: %w", filepath.Join(data, adminSocket), err)
	}
	records, err := open(data, domain)
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%w; the process that has it open doesn't answer on its admin socket: %w", err, askErr)
	}
	if err != nil {
		return nil, err
	}
	l := &localUsers{Accounts: Accounts{Store: account.NewStore(records), Domain: records.Domain()}, records: records}
	if l.rosters, err = l.openRosters(ctx); err != nil {
		return nil, errors.Join(err, records.Close())
	}
	l.Watch = l.rosters.im
	return l, nil
}

// localUsers works on the files.
type localUsers struct {
	Accounts
	rosters
	records store.Store
}

func (l *localUsers) List(ctx context.Context) ([]UserInfo, error) { return listUsers(ctx, l.Store) }
func (l *localUsers) Close() error                                 { return l.records.Close() }

// remoteUsers asks the running server.
type remoteUsers struct {
	client *http.Client
	socket string
}

// errNotRunning: nobody listens on the socket of a data directory.
var errNotRunning = errors.New("no server runs on this data directory")

// answerTime is how long a server that runs may take to say which domain it has.
const answerTime = 10 * time.Second

// domain asks for the domain of the running server: errNotRunning.
func (r *remoteUsers) domain(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var name string
	err := r.call(ctx, http.MethodGet, "/domain", nil, &name)
	return name, err
}

// failed says what it means that a request got no answer.
func (r *remoteUsers) failed(err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("a process holds %s and does not answer in time: it stands still (a stopped process, a debugger), or its machine has too much to do; let it go on, or end it: %w", r.socket, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s can't be opened: run the command as the owner of the data directory: %w", r.socket, err)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("%w: %w; start it, or name with --data the directory of one that runs", errNotRunning, err)
	}
	return fmt.Errorf("ask the running server: %w", err)
}

func newRemoteUsers(socket string) *remoteUsers {
	var d net.Dialer
	return &remoteUsers{socket: socket, client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
	}}}
}

func (r *remoteUsers) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://xmppd"+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return r.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the running server's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return decodeError(resp.Status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the running server's answer: %w", err)
	}
	return nil
}

func (r *remoteUsers) Add(ctx context.Context, name, password, group string) error {
	return r.call(ctx, http.MethodPost, "/users/add", userRequest{Name: name, Password: password, Group: group}, new(struct{}))
}

func (r *remoteUsers) SetPassword(ctx context.Context, name, password string) error {
	return r.call(ctx, http.MethodPost, "/users/passwd", userRequest{Name: name, Password: password}, new(struct{}))
}

func (r *remoteUsers) Delete(ctx context.Context, name string) error {
	return r.call(ctx, http.MethodPost, "/users/delete", userRequest{Name: name}, new(struct{}))
}

func (r *remoteUsers) List(ctx context.Context) (users []UserInfo, err error) {
	err = r.call(ctx, http.MethodGet, "/users", nil, &users)
	return users, err
}

func (r *remoteUsers) Close() error {
	r.client.CloseIdleConnections()
	return nil
}
