package xmppd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"

	"github.com/rosterdb/rosterdb/xmppd/account"
)

// adminSocket is the socket in the data directory through which `xmppd user` reaches a server that
// has the directory open. Who may connect is decided by the directory's permissions.
const adminSocket = "admin.sock"

// maxSocketPath is what fits into a socket address on all systems.
const maxSocketPath = 103

// listenAdmin opens the socket. A server without one works, but accounts can't be managed while it
// runs, so a failure is told and not fatal.
func (s *Server) listenAdmin() net.Listener {
	path := filepath.Join(s.cfg.Data, adminSocket)
	if len(path) > maxSocketPath {
		s.log.Warn("no admin socket: the data directory's path is too long for one; manage accounts while the server is stopped", "path", path)
		return nil
	}
	// The database's lock is ours, so a socket that is there is left over.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("no admin socket", "error", err)
		return nil
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		s.log.Warn("no admin socket", "error", err)
		return nil
	}
	return l
}

// UserInfo is an account as `xmppd user list` shows it.
type UserInfo struct {
	Name  string `json:"name"`
	Group string `json:"group,omitempty"`
}

// userRequest is one change of an account.
type userRequest struct {
	Name     string `json:"name"`
	Password string `json:"password,omitempty"`
	Group    string `json:"group,omitempty"`
}

// errorBody carries an error over the socket, with the sentinel it wraps.
type errorBody struct {
	Error string `json:"error"`
	Kind  string `json:"kind,omitempty"`
}

func sentinels() map[string]error {
	return map[string]error{"exists": account.ErrExists, "not-found": account.ErrNotFound, "no-contact": account.ErrNoContact, "invalid": account.ErrInvalid}
}

func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	log := audit{s.log}
	handle := func(path, what string, f func(context.Context, userRequest) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var req userRequest
			err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&req)
			if err == nil {
				err = s.whileReached(r.Context(), req.Name, func(ctx context.Context) error { return f(ctx, req) })
				log.changed(r.Context(), byAdminSocket, what, req.Name, err, "group", req.Group)
			}
			reply(w, struct{}{}, err)
		})
	}
	handle("/users/add", "add account", func(ctx context.Context, u userRequest) error {
		return s.accounts.Add(ctx, u.Name, u.Password, u.Group)
	})
	handle("/users/passwd", "change password", func(ctx context.Context, u userRequest) error { return s.accounts.SetPassword(ctx, u.Name, u.Password) })
	handle("/users/delete", "delete account", func(ctx context.Context, u userRequest) error { return s.accounts.Delete(ctx, u.Name) })
	handle("/users/group", "set group", func(ctx context.Context, u userRequest) error { return s.accounts.SetGroup(ctx, u.Name, u.Group) })
	rosters{s.im, s.accounts}.handle(mux, log, s.whileReached)
	s.handleRemove(mux, log)
	// Profiles show what is in memory, so they are here and not on --listen-http.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /cluster", func(w http.ResponseWriter, _ *http.Request) {
		servers, err := s.ClusterStatus()
		reply(w, servers, err)
	})
	mux.HandleFunc("POST /cluster/drain", func(w http.ResponseWriter, r *http.Request) {
		var req drainRequest
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&req)
		if err == nil {
			req.Name, err = s.AskToDrain(req.Name, !req.Cancel)
		}
		reply(w, req, err)
	})
	mux.HandleFunc("GET /domain", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.cfg.Domain, nil) })
	mux.HandleFunc("GET /users", func(w http.ResponseWriter, r *http.Request) {
		var users []UserInfo
		err := s.whileReached(r.Context(), "", func(ctx context.Context) (err error) {
			users, err = listUsers(ctx, s.store)
			return err
		})
		reply(w, users, err)
	})
	return mux
}

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		body := errorBody{Error: err.Error()}
		for kind, sentinel := range sentinels() {
			if errors.Is(err, sentinel) {
				body.Kind = kind
			}
		}
		w.WriteHeader(http.StatusBadRequest)
		v = body
	}
	_ = json.NewEncoder(w).Encode(v)
}

func listUsers(ctx context.Context, store *account.Store) ([]UserInfo, error) {
	users := []UserInfo{}
	err := store.List(ctx, func(a *account.Account) bool {
		users = append(users, UserInfo{Name: a.Name, Group: a.Group})
		return true
	})
	return users, err
}

// remoteError is an error that came over the socket.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

func decodeError(status string, body []byte) error {
	var b errorBody
	if err := json.Unmarshal(body, &b); err != nil || b.Error == "" {
		return fmt.Errorf("the running server answered %s", status)
	}
	return &remoteError{text: b.Error, kind: sentinels()[b.Kind]}
}
