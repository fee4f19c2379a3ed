package xmppd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
)

// errLocal tells that servers keep no records together.
var errLocal = errors.New("this server has no part of a cluster's records: cluster.storage is \"local\", or it is of no cluster")

// removal is the state of a server that leaves.
type removal struct {
	Name  string `json:"name"`
	Moved bool   `json:"moved"` // others have all that it had
}

// handleRemove serves the requests about servers that leave, of the admin socket.
func (s *Server) handleRemove(mux *http.ServeMux, log audit) {
	mux.HandleFunc("POST /cluster/remove", func(w http.ResponseWriter, r *http.Request) {
		var req removal
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&req)
		if err == nil && s.replicas == nil {
			err = errLocal
		}
		if err == nil {
			err = s.replicas.Leave(r.Context(), req.Name)
			log.changed(r.Context(), byAdminSocket, "remove server", req.Name, err)
		}
		reply(w, struct{}{}, err)
	})
	mux.HandleFunc("GET /cluster/moved", func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		if s.replicas == nil {
			reply(w, nil, errLocal)
			return
		}
		reply(w, removal{name, s.replicas.Moved(name)}, nil)
	})
}

// RemoveFromCluster asks the running server of a data directory to have a server, dead or alive, give up its share of
// the cluster's records. Others take it over: see RemovedFromCluster. It is no harm to ask again.
func RemoveFromCluster(ctx context.Context, data, name string) error {
	r := newRemoteUsers(filepath.Join(data, adminSocket))
	err := r.call(ctx, http.MethodPost, "/cluster/remove", removal{Name: name}, new(struct{}))
	return errors.Join(err, r.Close())
}

// RemovedFromCluster asks the running server of a data directory whether others have all that a server had.
func RemovedFromCluster(ctx context.Context, data, name string) (bool, error) {
	r := newRemoteUsers(filepath.Join(data, adminSocket))
	var now removal
	err := r.call(ctx, http.MethodGet, "/cluster/moved?name="+url.QueryEscape(name), nil, &now)
	return now.Moved, errors.Join(err, r.Close())
}
