package xmppd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/rosterdb/rosterdb/internal/stanza"
	"github.com/rosterdb/rosterdb/xmppd/account"
	"github.com/rosterdb/rosterdb/xmppd/im"
	"github.com/rosterdb/rosterdb/xmppd/router"
	"github.com/rosterdb/rosterdb/xmppd/session"
)

// RosterItem is a contact as a portal or an operator sees it.
type RosterItem struct {
	JID          string   `json:"jid"` // bare
	Name         string   `json:"name,omitempty"`
	Groups       []string `json:"groups,omitempty"`
	Subscription string   `json:"subscription"`  // none, to, from or both
	Ask          bool     `json:"ask,omitempty"` // a request of the owner awaits its answer; not to be set
	// Force is for SetRosterItem: a contact of this domain may be one that has no account yet.
	Force bool `json:"force,omitempty"`
}

// rosterRequest is one change of a roster.
type rosterRequest struct {
	Account string     `json:"account"`
	Item    RosterItem `json:"item"`
}

// rosters changes rosters from outside: a trusted source of them.
type rosters struct {
	im       *im.Service
	accounts *Accounts
}

// openRosters is for the files of a server that is stopped: nobody is on line to be told.
func (l *localUsers) openRosters(ctx context.Context) (rosters, error) {
	log, table := slog.New(slog.DiscardHandler), session.NewTable()
	r := router.New(l.Domain, table, log, router.Faults{})
	ims := im.New(l.Store, table, r, im.Limits{}, im.Policy{}, log, im.Faults{})
	return rosters{ims, &l.Accounts}, ims.Load(ctx)
}

// Roster implements Users.
func (r rosters) Roster(ctx context.Context, name string) ([]RosterItem, error) {
	name, err := r.accounts.Prepare(name)
	if err != nil {
		return nil, err
	}
	items, err := r.im.Items(ctx, name)
	out := make([]RosterItem, 0, len(items))
	for _, it := range items {
		out = append(out, RosterItem{JID: it.Contact, Name: it.Name, Groups: it.Groups, Subscription: string(it.Subscription), Ask: it.Ask})
	}
	return out, err
}

// SetRosterItem implements Users.
func (r rosters) SetRosterItem(ctx context.Context, name string, item RosterItem) error {
	name, err := r.accounts.Prepare(name)
	if err != nil {
		return err
	}
	if err := r.contactExists(ctx, item); err != nil {
		return err
	}
	return r.im.Put(ctx, name, account.Item{
		Contact: item.JID, Name: item.Name, Groups: item.Groups, Subscription: account.Subscription(item.Subscription),
	})
}

// contactExists refuses a contact of this domain without an account, which is a slip of the pen more
// often than somebody who is still to come.
func (r rosters) contactExists(ctx context.Context, item RosterItem) error {
	j, err := stanza.ParseJID(item.JID)
	if err != nil || item.Force || j.Local == "" || j.Domain != r.accounts.Domain {
		return nil // Put says what is wrong
	}
	ok, err := r.accounts.exists(ctx, j.Local)
	if err == nil && !ok {
		err = fmt.Errorf("contact %s: %w; give --force (in JSON \"force\": true) if it is still to come", j, account.ErrNotFound)
	}
	return err
}

// RemoveRosterItem implements Users.
func (r rosters) RemoveRosterItem(ctx context.Context, name, contact string) error {
	name, err := r.accounts.Prepare(name)
	if err != nil {
		return err
	}
	return r.im.Remove(ctx, name, contact)
}

// handle serves rosters on the admin socket. do does what is asked for about an account.
func (r rosters) handle(mux *http.ServeMux, log audit, do func(ctx context.Context, account string, f func(context.Context) error) error) {
	change := func(path, what string, f func(context.Context, rosterRequest) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, req *http.Request) {
			var body rosterRequest
			err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 256<<10)).Decode(&body)
			if err == nil {
				err = do(req.Context(), body.Account, func(ctx context.Context) error { return f(ctx, body) })
				log.changed(req.Context(), byAdminSocket, what, body.Account, err, "contact", body.Item.JID, "subscription", body.Item.Subscription)
			}
			reply(w, struct{}{}, err)
		})
	}
	change("/roster/set", "set contact", func(ctx context.Context, b rosterRequest) error { return r.SetRosterItem(ctx, b.Account, b.Item) })
	change("/roster/remove", "remove contact", func(ctx context.Context, b rosterRequest) error {
		return r.RemoveRosterItem(ctx, b.Account, b.Item.JID)
	})
	mux.HandleFunc("GET /roster", func(w http.ResponseWriter, req *http.Request) {
		var items []RosterItem
		err := do(req.Context(), req.FormValue("account"), func(ctx context.Context) (err error) {
			items, err = r.Roster(ctx, req.FormValue("account"))
			return err
		})
		reply(w, items, err)
	})
}

// Roster implements Users.
func (r *remoteUsers) Roster(ctx context.Context, name string) (items []RosterItem, err error) {
	err = r.call(ctx, http.MethodGet, "/roster?"+url.Values{"account": {name}}.Encode(), nil, &items)
	return items, err
}

// SetRosterItem implements Users.
func (r *remoteUsers) SetRosterItem(ctx context.Context, name string, item RosterItem) error {
	return r.call(ctx, http.MethodPost, "/roster/set", rosterRequest{name, item}, new(struct{}))
}

// RemoveRosterItem implements Users.
func (r *remoteUsers) RemoveRosterItem(ctx context.Context, name, contact string) error {
	return r.call(ctx, http.MethodPost, "/roster/remove", rosterRequest{name, RosterItem{JID: contact}}, new(struct{}))
}

// SetGroup implements Users.
func (r *remoteUsers) SetGroup(ctx context.Context, name, group string) error {
	return r.call(ctx, http.MethodPost, "/users/group", userRequest{Name: name, Group: group}, new(struct{}))
}
